// All that this app knows about the server that people sign in at. If you come from Auth0, only
// these two values change. The domain includes the scheme, because the API is called there too.
export const domain = "http://127.0.0.1:5000";
export const clientId = "react";
