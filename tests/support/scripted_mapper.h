// A mapper for tests: users by name, by outcome; pending as long as the test wants.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <gtest/gtest.h>

#include "kernel_sim/authorization/process_token.h"
#include "kernel_sim/base/thread_identity.h"
#include "kernel_sim/security/identity_mapper.h"
#include "kernel_sim/sspi/runtime.h"
#include "tests/support/sspi_async.h"

namespace ktlsim::test {

// S-1-5-21-1-2-3-number.
inline security::Sid UserSid(std::uint32_t number) {
  return security::Sid(5, {21, 1, 2, 3, number});
}

inline security::Token::Ref MakeUserToken(
    std::uint32_t number,
    security::ImpersonationLevel level = security::ImpersonationLevel::kImpersonation) {
  security::TokenContents contents;
  contents.user = UserSid(number);
  contents.type = security::TokenType::kImpersonation;
  contents.level = level;
  contents.token_id = authorization::NextLuid();
  security::Token::Ref token;
  EXPECT_EQ(security::Token::Create(contents, &token), security::Fault::kNone);
  return token;
}

// What a mapper was asked, with copies of all that the facts refer to.
struct MappedFacts {
  bool digest = false;
  std::string user{};
  std::string realm{};
  std::vector<std::uint8_t> leaf{};
  std::vector<security::KeyId> issuers{};
  security::ImpersonationLevel level = security::ImpersonationLevel::kAnonymous;
};

class ScriptedMapper final : public security::IdentityMapper {
 public:
  class Mapping final : public security::IdentityMapping {
   public:
    explicit Mapping(std::uint32_t limit_ms) : IdentityMapping(limit_ms) {}
    using IdentityMapping::Finish;
    std::atomic<bool> given_up{false};

   private:
    void OnGivenUp() override { given_up = true; }
  };

  // Installs itself for its life.
  static std::shared_ptr<ScriptedMapper> Install() {
    auto mapper = std::make_shared<ScriptedMapper>();
    sspi::Runtime::Instance().UseIdentityMapper(mapper);
    return mapper;
  }

  std::shared_ptr<security::IdentityMapping> Map(
      const security::ClientFacts& facts) noexcept override {
    const std::lock_guard lock(mutex_);
    MappedFacts& asked = asked_.emplace_back();
    asked.level = facts.level;
    if (const auto* client = std::get_if<security::DigestClient>(&facts.client)) {
      asked.digest = true;
      asked.user = client->user;
      asked.realm = client->realm;
    } else {
      const auto& tls = std::get<security::TlsClient>(facts.client);
      asked.leaf.assign(tls.leaf.begin(), tls.leaf.end());
      asked.issuers.assign(tls.issuers.begin(), tls.issuers.end());
    }
    if (no_memory_) return nullptr;
    const auto mapping = std::make_shared<Mapping>(limit_ms_);
    if (holds_) {
      held_.push_back(mapping);
      held_count_.Add();
    } else {
      Answer(*mapping, asked);
    }
    return mapping;
  }
  std::uint64_t generation() const noexcept override { return generation_; }

  // From now on every client is this user, or none.
  void SayUser(std::uint32_t number) {
    const std::lock_guard lock(mutex_);
    outcome_ = security::MappingOutcome::kToken;
    user_ = number;
  }
  // Digest users by name; others are SayUser's.
  void SayUser(const std::string& name, std::uint32_t number) {
    const std::lock_guard lock(mutex_);
    users_[name] = number;
  }
  void Say(security::MappingOutcome outcome) {
    const std::lock_guard lock(mutex_);
    outcome_ = outcome;
  }
  // Instead of one of the level that was asked for.
  void Give(security::Token::Ref token) {
    const std::lock_guard lock(mutex_);
    given_ = std::move(token);
  }
  void RunOutOfMemory(bool no_memory) { no_memory_ = no_memory; }
  void NextGeneration() { ++generation_; }

  // Mappings stay pending from now on.
  void Hold(bool holds, std::uint32_t limit_ms = 30'000) {
    const std::lock_guard lock(mutex_);
    holds_ = holds;
    limit_ms_ = limit_ms;
  }
  void WaitForHeld(int count = 1) { held_count_.WaitFor(count); }
  // False: there were not as many after `limit`.
  bool WaitForHeld(int count, std::chrono::milliseconds limit) {
    return held_count_.WaitFor(count, limit);
  }
  // Ends all that are pending, the newest first.
  void LetGo() {
    std::vector<std::shared_ptr<Mapping>> held;
    {
      const std::lock_guard lock(mutex_);
      held.swap(held_);
    }
    for (auto at = held.rbegin(); at != held.rend(); ++at) {
      const std::lock_guard lock(mutex_);
      Answer(**at, MappedFacts{.level = security::ImpersonationLevel::kImpersonation});
    }
  }
  std::shared_ptr<Mapping> NewestHeld() {
    const std::lock_guard lock(mutex_);
    return held_.empty() ? nullptr : held_.back();
  }

  std::size_t times() {
    const std::lock_guard lock(mutex_);
    return asked_.size();
  }
  MappedFacts last() {
    const std::lock_guard lock(mutex_);
    return asked_.empty() ? MappedFacts() : asked_.back();
  }

 private:
  void Answer(Mapping& mapping, const MappedFacts& asked) {
    if (given_ != nullptr) {
      mapping.Finish(security::MappingOutcome::kToken, given_);
      return;
    }
    const auto known = users_.find(asked.user);
    const bool named = asked.digest && known != users_.end();
    const auto outcome = named ? security::MappingOutcome::kToken : outcome_;
    mapping.Finish(outcome, outcome == security::MappingOutcome::kToken
                                ? MakeUserToken(named ? known->second : user_, asked.level)
                                : nullptr);
  }

  std::mutex mutex_;
  std::vector<MappedFacts> asked_;
  std::map<std::string, std::uint32_t> users_;
  security::MappingOutcome outcome_ = security::MappingOutcome::kNoMatch;
  std::uint32_t user_ = 0;
  security::Token::Ref given_;
  bool holds_ = false;
  std::uint32_t limit_ms_ = 30'000;
  std::vector<std::shared_ptr<Mapping>> held_;
  Count held_count_;
  std::atomic<bool> no_memory_{false};
  std::atomic<std::uint64_t> generation_{1};
};

// The mapper for a scope; the thread acts as itself at the end.
class WithMapper {
 public:
  WithMapper() : mapper_(ScriptedMapper::Install()) {}
  WithMapper(const WithMapper&) = delete;
  WithMapper& operator=(const WithMapper&) = delete;
  ~WithMapper() {
    sspi::Runtime::Instance().UseIdentityMapper(nullptr);
    ThreadIdentity::Exchange(nullptr);
  }
  ScriptedMapper* operator->() const { return mapper_.get(); }

 private:
  const std::shared_ptr<ScriptedMapper> mapper_;
};

}  // namespace ktlsim::test
