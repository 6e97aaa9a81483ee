import { useAuth0 } from "@auth0/auth0-react";
import { Link } from "react-router-dom";

export function Home() {
  const { isAuthenticated, user } = useAuth0();
  return (
    <>
      <h1>{isAuthenticated ? `Good day, ${user.name}` : "A diary for people with ferns"}</h1>
      <p>
        This page is for everybody. <Link to="/profile">Your profile</Link> and{" "}
        <Link to="/api">the API</Link> are not: open one of them, and you’ll be asked to sign in.
      </p>
    </>
  );
}
