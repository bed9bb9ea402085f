// What a package is given by its host: time and random bytes.
#include "kernel_sim/sspi/packages/package_host.h"

#include <sspi.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <memory>
#include <span>
#include <string_view>

#include <gtest/gtest.h>

#include "kernel_sim/base/clock.h"
#include "kernel_sim/sspi/packages/package.h"
#include "kernel_sim/sspi/packages/tls_credentials.h"
#include "kernel_sim/sspi/runtime.h"
#include "tests/support/package_host.h"
#include "tests/support/sspi_pair.h"

namespace ktlsim::test {
namespace {

// Offers nothing: it is only registered, to be given the runtime as its host.
class GuestPackage final : public sspi::Package {
 public:
  std::span<const std::string_view> Names() const override { return {}; }
  sspi::CallResult Acquire(const sspi::AcquireArguments& /*arguments*/, sspi::PackageCall* /*call*/,
                           std::unique_ptr<sspi::PackageCredential>* /*credential*/) override {
    return sspi::CallResult::Done(SEC_E_NO_CREDENTIALS);
  }
  SECURITY_STATUS CreateContext(sspi::PackageCredential& /*credential*/,
                                std::unique_ptr<sspi::PackageContext>* /*context*/) override {
    return SEC_E_UNSUPPORTED_FUNCTION;
  }
  using sspi::Package::host;
};

sspi::PackageHost& RuntimeAsHost() {
  static auto* const package = new GuestPackage();
  sspi::Runtime::Instance().RegisterPackage(*package);
  return package->host();
}

TEST(PackageHostTest, TheRuntimeGivesTheRealTime) {
  const std::uint64_t before_ns = MonotonicClock::Now();
  const std::int64_t before_s = std::time(nullptr);
  const std::uint64_t ns = RuntimeAsHost().clock().NowNs();
  const std::int64_t s = RuntimeAsHost().wall_seconds();
  EXPECT_GE(ns, before_ns);
  EXPECT_LE(ns, MonotonicClock::Now());
  EXPECT_GE(s, before_s);
  EXPECT_LE(s, std::time(nullptr));
}

TEST(PackageHostTest, TheRuntimeGivesRandomBytes) {
  std::array<std::byte, 34> first{};
  std::array<std::byte, 34> second{};
  ASSERT_TRUE(RuntimeAsHost().FillRandom(std::span(first).subspan(1, 32)));
  ASSERT_TRUE(RuntimeAsHost().FillRandom(std::span(second).subspan(1, 32)));
  EXPECT_NE(first, second);
  EXPECT_EQ(first.front(), std::byte{0}) << "only what was asked for";
  EXPECT_EQ(first.back(), std::byte{0});
  EXPECT_TRUE(RuntimeAsHost().FillRandom({}));
}

class HostOfAnotherDay final : public TestPackageHost {
 public:
  explicit HostOfAnotherDay(std::int64_t days) : seconds_(std::time(nullptr) + days * 86400) {}
  std::int64_t wall_seconds() const override { return seconds_; }

 private:
  const std::int64_t seconds_;
};

TEST(PackageHostTest, CertificatesAreJudgedByTheTimeOfTheHost) {
  constexpr std::int64_t kAWholeLife = 36500;
  tls::Certificate::Ptr certificate;
  for (const std::int64_t days : {-kAWholeLife, kAWholeLife}) {
    HostOfAnotherDay host(days);
    EXPECT_EQ(sspi::ReadOwnCertificate(host, LocalhostCertificate(), 0, &certificate),
              SEC_E_CERT_EXPIRED);
  }
  HostOfAnotherDay today(0);
  EXPECT_EQ(sspi::ReadOwnCertificate(today, LocalhostCertificate(), 0, &certificate), SEC_E_OK);
}

}  // namespace
}  // namespace ktlsim::test
