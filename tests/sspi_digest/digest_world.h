// The Digest package with a time and a context store of the test's own.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <gtest/gtest.h>

#include "kernel_sim/base/clock.h"
#include "kernel_sim/sspi/objects.h"
#include "kernel_sim/sspi/packages/digest_package.h"
#include "kernel_sim/sspi/runtime.h"
#include "tests/support/scripted_store.h"

namespace ktlsim::test {

class TestClock final : public Clock {
 public:
  std::uint64_t NowNs() const override { return now_ns_; }
  void Pass(std::uint64_t seconds) { now_ns_ += seconds * kNsPerSecond; }

 private:
  std::atomic<std::uint64_t> now_ns_{1'000 * kNsPerSecond};
};

// The runtime as a package sees it, with another time.
class TimedHost final : public sspi::PackageHost {
 public:
  explicit TimedHost(sspi::PackageHost& real) : real_(real) {}

  TestClock& test_clock() { return clock_; }
  std::string fixed_client_nonce;

  sspi::PackageCounters& counters() override { return real_.counters(); }
  void NoteReason(std::initializer_list<std::string_view> parts) override {
    real_.NoteReason(parts);
  }
  unsigned processor_count() const override { return real_.processor_count(); }
  unsigned processor_index() const override { return real_.processor_index(); }
  const Clock& clock() const override { return clock_; }
  std::int64_t wall_seconds() const override {
    return 1'800'000'000 + static_cast<std::int64_t>(clock_.NowNs() / kNsPerSecond);
  }
  bool FillRandom(std::span<std::byte> bytes) override { return real_.FillRandom(bytes); }
  std::string_view FixedClientNonce() const override { return fixed_client_nonce; }
  executive::Reference<sspi::CredentialObject> FindCredential(const SecHandle* handle) override {
    return real_.FindCredential(handle);
  }
  SECURITY_STATUS AddContext(const SecHandle& like, std::unique_ptr<sspi::PackageContext> context,
                             SecHandle* handle) override {
    return real_.AddContext(like, std::move(context), handle);
  }
  void EndContext(const SecHandle& handle) override { real_.EndContext(handle); }

 private:
  sspi::PackageHost& real_;
  TestClock clock_;
};

// While it lives, the package has this time and this store.
class DigestWorld {
 public:
  DigestWorld() {
    UseTestTime();
    store_ = std::make_shared<ScriptedStore>(host().test_clock());
    EXPECT_TRUE(package().UseStore(store_, nullptr));
  }
  DigestWorld(const DigestWorld&) = delete;
  DigestWorld& operator=(const DigestWorld&) = delete;
  ~DigestWorld() {
    EXPECT_TRUE(package().UseStore(nullptr, nullptr));
    FixClientNonce("");
  }

  // From now on the package has the test's time, which stands still. Once before all tests, so that
  // what the package keeps for the life of the process has it, too.
  static void UseTestTime() { package().SetHost(host()); }

  static sspi::DigestPackage& package() { return sspi::DigestPackage::Instance(); }
  ScriptedStore& store() { return *store_; }
  const std::shared_ptr<ScriptedStore>& shared_store() { return store_; }
  // What clients use from now on; "": what they draw.
  static void FixClientNonce(std::string nonce) { host().fixed_client_nonce = std::move(nonce); }
  void Pass(std::uint64_t seconds) { host().test_clock().Pass(seconds); }

 private:
  static TimedHost& host() {
    static auto* const host = new TimedHost(RealHost());
    return *host;
  }
  static sspi::PackageHost& RealHost() {
    static_cast<void>(sspi::Runtime::Instance());
    return package().package_host();
  }

  std::shared_ptr<ScriptedStore> store_;
};

}  // namespace ktlsim::test
