"""A small identity provider with real keys: metadata, registration, consent, tokens, JWK set.

    python issuer.py

It listens on a free port of loopback and prints its issuer URL. It follows OAuth 2.1: every client
registers itself (RFC 7591), brings PKCE with S256 (RFC 7636), and names the resource that a token
is for (RFC 8707). Consent is given at once, as alice of dev-org. Each authorization and each token
is a line of JSON on standard output.
"""

import base64
import hashlib
import json
import secrets
import socket
import time
from urllib.parse import urlencode

import jwt
import uvicorn
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm
from starlette.applications import Starlette
from starlette.responses import JSONResponse, RedirectResponse
from starlette.routing import Route

REALM = "/realms/corp"
SCOPES = ["tickets:read", "tickets:write"]
KEY = ec.generate_private_key(ec.SECP256R1())
KEY_ID = "key-1"

CODES = {}
"""What a code was given for, until it is used."""


def say(**what):
    print(json.dumps(what), flush=True)


def base(request) -> str:
    return f"http://{request.url.netloc}{REALM}"


async def metadata(request):
    issuer = base(request)
    return JSONResponse(
        {
            "issuer": issuer,
            "authorization_endpoint": f"{issuer}/authorize",
            "token_endpoint": f"{issuer}/token",
            "registration_endpoint": f"{issuer}/register",
            "jwks_uri": f"{issuer}/certs",
            "scopes_supported": SCOPES,
            "response_types_supported": ["code"],
            "grant_types_supported": ["authorization_code"],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["none"],
            "authorization_response_iss_parameter_supported": True,
        }
    )


async def certs(_request):
    key = ECAlgorithm.to_jwk(KEY.public_key(), as_dict=True)
    return JSONResponse({"keys": [key | {"kid": KEY_ID, "use": "sig", "alg": "ES256"}]})


async def register(request):
    asked = await request.json()
    asked |= {"client_id": secrets.token_urlsafe(8), "token_endpoint_auth_method": "none"}
    asked.pop("client_secret", None)
    return JSONResponse(asked, status_code=201)


async def authorize(request):
    asked = dict(request.query_params)
    if asked.get("code_challenge_method") != "S256" or "resource" not in asked:
        return JSONResponse({"error": "invalid_request"}, status_code=400)
    say(event="authorized", scope=asked.get("scope"), resource=asked["resource"])
    code = secrets.token_urlsafe(16)
    CODES[code] = asked
    answer = {"code": code, "state": asked.get("state", ""), "iss": base(request)}
    return RedirectResponse(f"{asked['redirect_uri']}?{urlencode(answer)}", status_code=302)


async def token(request):
    form = await request.form()
    asked = CODES.pop(form.get("code"), None)
    verifier = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
    challenge = base64.urlsafe_b64encode(verifier).rstrip(b"=").decode()
    if asked is None or challenge != asked["code_challenge"]:
        return JSONResponse({"error": "invalid_grant"}, status_code=400)
    if form.get("resource") != asked["resource"]:
        return JSONResponse({"error": "invalid_target"}, status_code=400)
    now, scope = int(time.time()), asked.get("scope", "")
    claims = {
        "iss": base(request),
        "aud": asked["resource"],
        "sub": "alice",
        "org": "dev-org",
        "client_id": asked["client_id"],
        "scope": scope,
        "iat": now,
        "exp": now + 300,
        "jti": secrets.token_urlsafe(8),
    }
    signed = jwt.encode(claims, KEY, "ES256", headers={"kid": KEY_ID, "typ": "at+jwt"})
    say(event="token", scope=scope)
    answer = {"access_token": signed, "token_type": "Bearer", "expires_in": 300, "scope": scope}
    return JSONResponse(answer, headers={"cache-control": "no-store"})


APP = Starlette(
    routes=[
        Route(f"/.well-known/oauth-authorization-server{REALM}", metadata),
        Route(f"{REALM}/certs", certs),
        Route(f"{REALM}/register", register, methods=["POST"]),
        Route(f"{REALM}/authorize", authorize),
        Route(f"{REALM}/token", token, methods=["POST"]),
    ]
)


def main():
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    host, port = listener.getsockname()
    print(f"issuer listening on http://{host}:{port}{REALM}", flush=True)
    uvicorn.Server(uvicorn.Config(APP, log_level="warning")).run(sockets=[listener])


if __name__ == "__main__":
    main()
