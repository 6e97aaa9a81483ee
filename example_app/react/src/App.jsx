import { useAuth0 } from "@auth0/auth0-react";
import { NavLink, Route, Routes } from "react-router-dom";

import { Api } from "./Api";
import { LoginButton, LogoutButton } from "./buttons";
import { Home } from "./Home";
import { Profile } from "./Profile";

export function App() {
  const { error, isAuthenticated, isLoading } = useAuth0();
  return (
    <>
      <header>
        <NavLink className="name" to="/">
          Fern Diary
        </NavLink>
        <nav>
          <NavLink to="/profile">Profile</NavLink>
          <NavLink to="/api">API</NavLink>
          {!isLoading && (isAuthenticated ? <LogoutButton /> : <LoginButton />)}
        </nav>
      </header>
      <main>
        {error && <p role="alert">{error.message}</p>}
        {isLoading ? (
          <p>One moment…</p>
        ) : (
          <Routes>
            <Route path="/" element={<Home />} />
            <Route path="/profile" element={<Profile />} />
            <Route path="/api" element={<Api />} />
            <Route path="*" element={<h1>Nothing grows here</h1>} />
          </Routes>
        )}
      </main>
    </>
  );
}
