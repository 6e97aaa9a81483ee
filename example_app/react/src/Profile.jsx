import { useAuth0, withAuthenticationRequired } from "@auth0/auth0-react";

export const Profile = withAuthenticationRequired(
  function Profile() {
    const { user } = useAuth0();
    return (
      <>
        <h1>Your profile</h1>
        <dl>
          <dt>Name</dt>
          <dd>{user.name}</dd>
          <dt>E-mail</dt>
          <dd>{user.email}</dd>
        </dl>
        <h2>Everything the ID token says about you</h2>
        <pre>{JSON.stringify(user, null, 2)}</pre>
      </>
    );
  },
  { onRedirecting: () => <p>Taking you to the login page…</p> },
);
