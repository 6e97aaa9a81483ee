import { useAuth0 } from "@auth0/auth0-react";
import { useLocation } from "react-router-dom";

export function LoginButton() {
  const { loginWithRedirect } = useAuth0();
  const { pathname } = useLocation();
  return (
    <button type="button" onClick={() => loginWithRedirect({ appState: { returnTo: pathname } })}>
      Log in
    </button>
  );
}

export function LogoutButton() {
  const { logout } = useAuth0();
  return (
    <button
      type="button"
      onClick={() => logout({ logoutParams: { returnTo: window.location.origin } })}
    >
      Log out
    </button>
  );
}
