import { Auth0Provider } from "@auth0/auth0-react";
import { createRoot } from "react-dom/client";
import { BrowserRouter, useNavigate } from "react-router-dom";

import { App } from "./App";
import "./app.css";
import { clientId, domain } from "./settings";

// Inside the router, so users return to where they were after they sign in.
function SignIn({ children }) {
  const navigate = useNavigate();
  return (
    <Auth0Provider
      domain={domain}
      clientId={clientId}
      authorizationParams={{ redirect_uri: window.location.origin }}
      onRedirectCallback={(appState) => navigate(appState?.returnTo ?? "/", { replace: true })}
    >
      {children}
    </Auth0Provider>
  );
}

createRoot(document.getElementById("root")).render(
  <BrowserRouter>
    <SignIn>
      <App />
    </SignIn>
  </BrowserRouter>,
);
