// The Digest package with a time and a context store of the test's own.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "kernel_sim/base/clock.h"
#include "kernel_sim/context_store/memory_store.h"
#include "kernel_sim/context_store/node_keys.h"
#include "kernel_sim/sspi/objects.h"
#include "kernel_sim/sspi/packages/digest_package.h"
#include "kernel_sim/sspi/runtime.h"

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
  // Drawn instead of as many random bytes.
  std::vector<std::byte> fixed_random;

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
  bool FillRandom(std::span<std::byte> bytes) override {
    if (fixed_random.size() != bytes.size()) return real_.FillRandom(bytes);
    std::ranges::copy(fixed_random, bytes.begin());
    return true;
  }
  executive::Reference<sspi::CredentialObject> FindCredential(const SecHandle* handle) override {
    return real_.FindCredential(handle);
  }
  void EndContext(const SecHandle& handle) override { real_.EndContext(handle); }

 private:
  sspi::PackageHost& real_;
  TestClock clock_;
};

// A store whose operations the test can refuse, hold back, and let go. They take effect in a memory
// store when they are let go.
class ScriptedStore final : public context_store::ContextStore {
 public:
  enum class Operation : std::uint8_t { kGet, kPut, kRemove, kAdvance };
  using Result = context_store::StoreResult;

  explicit ScriptedStore(const Clock& clock)
      : memory_(context_store::MemoryStore::Create(clock, {}).value()) {}

  // The next operations of this kind fail at once; nullopt: they do not.
  void Refuse(Operation operation, std::optional<Result> result) {
    const std::lock_guard<std::mutex> lock(mutex_);
    refused_[static_cast<std::size_t>(operation)] = result;
  }
  void RefuseAll(std::optional<Result> result) {
    for (int i = 0; i < 4; ++i) Refuse(static_cast<Operation>(i), result);
  }
  // The next operations of this kind are pending until they are let go.
  void Hold(Operation operation, bool hold = true) {
    const std::lock_guard<std::mutex> lock(mutex_);
    held_[static_cast<std::size_t>(operation)] = hold;
  }
  // Waits for a pending operation.
  void WaitForHeld(std::size_t count = 1) {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [&] { return waiting_.size() >= count; });
  }
  // Lets the oldest pending one go: with its own result, or with `result` and without effect, or
  // with both.
  void LetGo(std::optional<Result> result = std::nullopt, bool takes_effect = true) {
    std::function<context_store::StoreCall*()> run;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      ASSERT_FALSE(waiting_.empty());
      run = std::move(waiting_.front().run);
      if (!takes_effect) run = [call = waiting_.front().call] { return call; };
      waiting_.pop_front();
    }
    context_store::StoreCall* const call = run();
    if (result.has_value()) call->SetResult(*result);
    call->OnStored();
  }
  // How many are pending.
  std::size_t held() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return waiting_.size();
  }
  // Each operation is treated by what this returns; null: by the script.
  enum class Treatment : std::uint8_t { kPass, kFail, kFailAfterEffect, kHold };
  void TreatBy(std::function<Treatment()> treat) {
    const std::lock_guard<std::mutex> lock(mutex_);
    treat_ = std::move(treat);
  }
  int begun(Operation operation) const { return begun_[static_cast<std::size_t>(operation)]; }
  // A new life: counts are lost.
  void Restart() {
    const std::lock_guard<std::mutex> lock(mutex_);
    ++epoch_;
    of_this_life_.clear();
  }
  // It has not been there yet.
  void BeUnborn() { epoch_ = 0; }
  std::uint64_t entries() {
    struct Call final : context_store::StoreCall {
      void OnStored() override {}
    } call;
    EXPECT_EQ(memory_->Count(call), context_store::Begun::kDone);
    return call.counts().entries[0];
  }

  std::uint64_t epoch() const override { return epoch_; }
  context_store::Begun Get(context_store::StoreCall& call, const context_store::Key& key) override {
    return Do(Operation::kGet, call, [this, &call, key] {
      static_cast<void>(memory_->Get(call, key));
      const std::lock_guard<std::mutex> lock(mutex_);
      if (call.result() == Result::kOk && !of_this_life_.contains(Name(key))) {
        call.SetResult(Result::kStale);
      }
      return &call;
    });
  }
  context_store::Begun Put(context_store::StoreCall& call, const context_store::Key& key,
                           const context_store::PutRequest& put) override {
    return Do(Operation::kPut, call, [this, &call, key, put] {
      context_store::PutRequest mapped = put;
      if (!Map(mapped.use, call)) return &call;
      static_cast<void>(memory_->Put(call, key, mapped));
      const std::lock_guard<std::mutex> lock(mutex_);
      if (call.result() == Result::kOk) of_this_life_.insert(Name(key));
      return &call;
    });
  }
  context_store::Begun Remove(context_store::StoreCall& call,
                              const context_store::Key& key) override {
    return Do(Operation::kRemove, call, [this, &call, key] {
      static_cast<void>(memory_->Remove(call, key));
      return &call;
    });
  }
  context_store::Begun Advance(context_store::StoreCall& call, const context_store::Key& key,
                               const context_store::NonceUse& use) override {
    return Do(Operation::kAdvance, call, [this, &call, key, use] {
      context_store::NonceUse mapped = use;
      if (!Map(mapped, call)) return &call;
      static_cast<void>(memory_->Advance(call, key, mapped));
      return &call;
    });
  }
  context_store::Begun Count(context_store::StoreCall& call) override {
    return memory_->Count(call);
  }

 private:
  struct Waiting {
    context_store::StoreCall* call;
    std::function<context_store::StoreCall*()> run;
  };

  static std::string Name(const context_store::Key& key) {
    return {reinterpret_cast<const char*>(key.name.data()), key.name.size()};
  }
  // Our epoch is not that of the memory.
  bool Map(context_store::NonceUse& use, context_store::StoreCall& call) const {
    const bool good = use.epoch == epoch_ && epoch_ != 0;
    if (!good) call.SetResult(Result::kStale);
    use.epoch = memory_->epoch();
    return good;
  }
  template <typename Run>
  context_store::Begun Do(Operation operation, context_store::StoreCall& call, Run run) {
    const auto i = static_cast<std::size_t>(operation);
    ++begun_[i];
    bool failed = false;
    bool after_effect = false;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (refused_[i].has_value()) {
        call.SetResult(*refused_[i]);
        return context_store::Begun::kDone;
      }
      const Treatment treatment = treat_     ? treat_()
                                  : held_[i] ? Treatment::kHold
                                             : Treatment::kPass;
      if (treatment == Treatment::kFail || treatment == Treatment::kFailAfterEffect) {
        after_effect = treatment == Treatment::kFailAfterEffect;
        failed = true;
      } else if (treatment == Treatment::kHold) {
        waiting_.push_back({&call, run});
        changed_.notify_all();
        return context_store::Begun::kPending;
      }
    }
    if (!failed || after_effect) run();
    if (failed) call.SetResult(Result::kUnavailable);
    return context_store::Begun::kDone;
  }

  const std::unique_ptr<context_store::MemoryStore> memory_;
  std::atomic<std::uint64_t> epoch_{7};
  std::array<std::atomic<int>, 4> begun_{};
  std::mutex mutex_;
  std::condition_variable changed_;
  std::array<std::optional<Result>, 4> refused_;
  std::array<bool, 4> held_{};
  std::deque<Waiting> waiting_;
  std::set<std::string> of_this_life_;
  std::function<Treatment()> treat_;
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
    FixRandom({});
  }

  // From now on the package has the test's time, which stands still. Once before all tests, so that
  // what the package keeps for the life of the process has it, too.
  static void UseTestTime() { package().SetHost(host()); }

  static sspi::DigestPackage& package() { return sspi::DigestPackage::Instance(); }
  ScriptedStore& store() { return *store_; }
  const std::shared_ptr<ScriptedStore>& shared_store() { return store_; }
  void FixRandom(std::vector<std::byte> bytes) { host().fixed_random = std::move(bytes); }
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
