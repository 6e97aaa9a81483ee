// All that this app knows of the server that people sign in at. Coming from Auth0, these
// two values are what changes. The domain is with its scheme, as the API is called there too.
export const domain = "http://127.0.0.1:5000";
export const clientId = "react";
