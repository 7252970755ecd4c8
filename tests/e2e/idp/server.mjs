// A certified OpenID provider on loopback, for the end-to-end suite.
//
//   node server.mjs PORT [CODE_SECONDS]
//
// Its issuer is http://127.0.0.1:PORT. It knows the public client `breakglass` and the confidential
// client `breakglass-confidential` (secret `e2e-secret-of-breakglass`), and two people: alice and
// bob, each with an address of the same name at example.com that is verified. Any password will do;
// nobody else can sign in. A code works for CODE_SECONDS seconds, 600 unless told. It prints `ready`
// once it listens.

import Provider from 'oidc-provider';

const port = Number(process.argv[2]);
const codeSeconds = Number(process.argv[3] ?? 600);
const issuer = `http://127.0.0.1:${port}`;
const people = new Set(['alice', 'bob']);

const client = {
  application_type: 'native',
  grant_types: ['urn:ietf:params:oauth:grant-type:device_code'],
  response_types: [],
  redirect_uris: [],
};

const provider = new Provider(issuer, {
  clients: [
    { ...client, client_id: 'breakglass', token_endpoint_auth_method: 'none' },
    {
      ...client,
      client_id: 'breakglass-confidential',
      client_secret: 'e2e-secret-of-breakglass',
      token_endpoint_auth_method: 'client_secret_basic',
    },
  ],
  features: { deviceFlow: { enabled: true }, devInteractions: { enabled: true } },
  // Claims that a scope asks for go into the ID token, not only to the UserInfo endpoint.
  conformIdTokenClaims: false,
  claims: { openid: ['sub'], email: ['email', 'email_verified'] },
  findAccount: (_context, name) => people.has(name) && {
    accountId: name,
    claims: () => ({ sub: name, email: `${name}@example.com`, email_verified: true }),
  },
  ttl: { DeviceCode: codeSeconds, AccessToken: 600, IdToken: 600, Grant: 600, Session: 600, Interaction: 600 },
  cookies: { keys: ['only for tests on loopback'] },
});

provider.on('server_error', (_context, error) => console.error(error));
provider.listen(port, '127.0.0.1', () => console.log('ready'));
