//! Integration tests: the real binary between a raw client and a scripted upstream.
