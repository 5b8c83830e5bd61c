// RSA keys. OpenSSL 3.0 derives its primes by a method of SP 800-56B that takes half of its time
// for a constant-time gcd of each candidate and a good part of the rest for 64 rounds of
// Miller-Rabin: three times what other libraries need (tests/bench/keys.py). So the primes are
// found by nettle, which proves them prime (Maurer's construction) over GMP. Random numbers are
// OpenSSL's, and so is the key that comes of it, and the check that it works.
#pragma once

#include <openssl/evp.h>

#include "base/error.h"

// With 65537 as public exponent. Wipes everything but *ret: the memory that GMP used, and its
// stack. 0, or -EIO.
int key_generate_rsa(unsigned bits, EVP_PKEY **ret, struct error *err);
