// The random methods are deprecated in favour of providers. A provider would serve one library
// context, before its first use; a method serves all of them, and can be taken out again.
#undef OPENSSL_NO_DEPRECATED
#define OPENSSL_SUPPRESS_DEPRECATED

#include "tests/support/deterministic_tls.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <ctime>

#include <gtest/gtest.h>
#include <openssl/rand.h>

#include "io/seeded_random.h"
#include "kernel_sim/base/assert.h"

namespace ktlsim::test {
namespace {

io::SeededRandom random_bytes(0);
const Clock* wall_clock = nullptr;

int Draw(unsigned char* bytes, int count) {
  for (int at = 0; at < count; at += 8) {
    const std::uint64_t next = random_bytes.Next();
    std::memcpy(bytes + at, &next, static_cast<std::size_t>(std::min(8, count - at)));
  }
  return 1;
}

constexpr RAND_METHOD kMethod = {
    .seed = nullptr,
    .bytes = &Draw,
    .cleanup = nullptr,
    .add = nullptr,
    .pseudorand = &Draw,
    .status = [] { return 1; },
};

// The private key is in the repository, too: it protects nothing.
constexpr char kKey[] = R"(-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg+5p1xsfSmCj6ytr1
iMn4BQGMXHqEdZn3CWwPOZ+tW3ChRANCAASFOVqlhZztcA3g8OjD+0+1G5zqQWOV
jm4uqb/kKWKg5Uv9mqDVOrbAJU18oDN4My2GfgWaBaz/ZFzDKXiB0WHU
-----END PRIVATE KEY-----
)";
// Valid from 2026 to 2126.
constexpr char kCertificate[] = R"(-----BEGIN CERTIFICATE-----
MIIBljCCATugAwIBAgIUeNTFfTyXzvLclZdSx6I+rDkONQgwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMTExMTM1NFoYDzIxMjYxMDI4
MTExMzU0WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAASFOVqlhZztcA3g8OjD+0+1G5zqQWOVjm4uqb/kKWKg5Uv9mqDVOrbA
JU18oDN4My2GfgWaBaz/ZFzDKXiB0WHUo2kwZzAdBgNVHQ4EFgQUj9z/GPhGv+1k
aPVFOvw346w0arcwHwYDVR0jBBgwFoAUj9z/GPhGv+1kaPVFOvw346w0arcwDwYD
VR0TAQH/BAUwAwEB/zAUBgNVHREEDTALgglsb2NhbGhvc3QwCgYIKoZIzj0EAwID
SQAwRgIhAJCg5dZkRr9RQAK2dmU164MjpuqQl6AiFarUR0xRmJM4AiEAsf6v3T9F
dk5mPW9YdQ0voLQabjakbzoiglavUDm9gXg=
-----END CERTIFICATE-----
)";

}  // namespace

DeterministicTls::DeterministicTls(std::uint64_t seed, const Clock& clock)
    : previous_(RAND_get_rand_method()) {
  KTLSIM_CHECK(wall_clock == nullptr);
  random_bytes = io::SeededRandom(seed);
  wall_clock = &clock;
  KTLSIM_CHECK(RAND_set_rand_method(&kMethod) == 1);
}

DeterministicTls::~DeterministicTls() {
  KTLSIM_CHECK(RAND_set_rand_method(previous_) == 1);
  wall_clock = nullptr;
}

PCCERT_CONTEXT DeterministicCertificate() {
  static PCCERT_CONTEXT certificate = nullptr;
  if (certificate == nullptr) {
    EXPECT_EQ(KtlsimLoadCertificatePem(kCertificate, kKey, &certificate), SEC_E_OK)
        << KtlsimLastErrorText();
  }
  return certificate;
}

}  // namespace ktlsim::test

// These take precedence over the C library's, also in the shared libraries of this program: OpenSSL
// asks for the time with time(), and std::chrono::system_clock, which we age sessions by, with
// clock_gettime().
extern "C" __attribute__((visibility("default"))) int clock_gettime(clockid_t clock,
                                                                    timespec* out) noexcept {
  const ktlsim::Clock* const wall = clock == CLOCK_REALTIME ? ktlsim::test::wall_clock : nullptr;
  if (wall == nullptr) {
    return static_cast<int>(syscall(SYS_clock_gettime, clock, out));
  }
  const std::uint64_t now = wall->NowNs();
  out->tv_sec = ktlsim::test::DeterministicTls::kEpochSeconds +
                static_cast<std::time_t>(now / ktlsim::kNsPerSecond);
  out->tv_nsec = static_cast<long>(now % ktlsim::kNsPerSecond);
  return 0;
}

extern "C" __attribute__((visibility("default"))) std::time_t time(std::time_t* out) noexcept {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  if (out != nullptr) *out = now.tv_sec;
  return now.tv_sec;
}
