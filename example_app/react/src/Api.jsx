import { useAuth0, withAuthenticationRequired } from "@auth0/auth0-react";
import { useState } from "react";

import { domain } from "./settings";

export const Api = withAuthenticationRequired(
  function Api() {
    const { getAccessTokenSilently } = useAuth0();
    const [answer, setAnswer] = useState("");

    async function callApi() {
      try {
        const token = await getAccessTokenSilently();
        const response = await fetch(`${domain}/api/me`, {
          headers: { Authorization: `Bearer ${token}` },
        });
        setAnswer(`${response.status}\n${JSON.stringify(await response.json(), null, 2)}`);
      } catch (error) {
        setAnswer(error.message);
      }
    }

    return (
      <>
        <h1>The API</h1>
        <p>It’s on another origin and needs an access token with every call.</p>
        <p>
          <button type="button" onClick={callApi}>
            Call the API
          </button>
        </p>
        <pre aria-live="polite">{answer}</pre>
      </>
    );
  },
  { onRedirecting: () => <p>Taking you to the login page…</p> },
);
