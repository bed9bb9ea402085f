// A directory for the tests of accounts/, its clock, and a service upon it.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <gtest/gtest.h>

#include "kernel_sim/accounts/account_service.h"
#include "kernel_sim/accounts/directory.h"
#include "kernel_sim/accounts/password_hash.h"
#include "kernel_sim/security/sid.h"

namespace ktlsim::accounts::test {

// As cheap as Argon2id can be.
inline std::string CheapHash(std::string_view password) {
  const std::array<std::uint8_t, 16> salt = {1, 2, 3};
  PasswordHash hash;
  EXPECT_TRUE(PasswordHash::Make(SecretText(password), {.memory_kib = 8, .passes = 1, .lanes = 1},
                                 salt, &hash));
  return hash.Text();
}

inline std::shared_ptr<const Directory> DirectoryOf(std::string_view text) {
  std::string error;
  std::shared_ptr<const Directory> directory = Directory::Parse(text, "d.toml", &error);
  EXPECT_NE(directory, nullptr) << error;
  EXPECT_EQ(error, "");
  return directory;
}

inline std::string SidTextOf(security::SidView sid) {
  return std::string(security::SidText(sid).view());
}

inline security::Sid SidOfText(std::string_view text) {
  security::Sid sid;
  EXPECT_EQ(security::ParseSid(text, &sid), security::Fault::kNone) << text;
  return sid;
}

// Goes when a test says so.
class ManualClock final : public Clock {
 public:
  std::uint64_t NowNs() const override { return now_.load(); }
  void Advance(std::uint64_t ns) { now_ += ns; }

 private:
  std::atomic<std::uint64_t> now_{kNsPerSecond};
};

inline constexpr std::int64_t kNow = 1'800'000'000;  // January 2027

class Service {
 public:
  explicit Service(const ServiceLimits& limits = {}) : service_(Make(limits)) {}

  void Use(std::string_view text) { service_->store().Use(DirectoryOf(text)); }
  AccountService* operator->() const { return service_.get(); }
  const std::shared_ptr<AccountService>& get() const { return service_; }
  ManualClock& clock() { return clock_; }
  // `call` is made once, in the next log-on: when its password is right, on its thread.
  void AtNextJudgement(std::function<void()> call) { at_judgement_ = std::move(call); }
  // The same when its token is made.
  void AtNextGrant(std::function<void()> call) { at_grant_ = std::move(call); }

  LogonFault LogOn(std::string_view user, std::string_view password,
                   LogonType type = LogonType::kInteractive, security::Token::Ref* token = nullptr,
                   std::string_view domain = "") {
    security::Token::Ref own;
    return service_->LogOn({.user = user, .domain = domain, .password = password, .type = type},
                           nullptr, token != nullptr ? token : &own);
  }

 private:
  std::shared_ptr<AccountService> Make(const ServiceLimits& limits) {
    ServiceSurroundings surroundings;
    surroundings.clock = &clock_;
    surroundings.wall_seconds = [this] {
      if (at_judgement_) std::exchange(at_judgement_, nullptr)();
      return kNow;
    };
    surroundings.new_luid = [this] {
      if (at_grant_) std::exchange(at_grant_, nullptr)();
      return security::Luid{next_luid_.fetch_add(1), 0};
    };
    return std::make_shared<AccountService>(surroundings, limits);
  }

  ManualClock clock_;
  std::atomic<std::uint32_t> next_luid_{1000};
  std::function<void()> at_judgement_;
  std::function<void()> at_grant_;
  std::shared_ptr<AccountService> service_;
};

}  // namespace ktlsim::accounts::test
