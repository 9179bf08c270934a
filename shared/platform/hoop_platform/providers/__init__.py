"""Provider accounts: the OAuth flow, sealed credentials, token refresh, errors."""
