// ScriptedStore: a context store that does what a test says.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "kernel_sim/base/clock.h"
#include "kernel_sim/context_store/memory_store.h"

namespace ktlsim::test {

// A store whose operations the test can refuse, hold back, and let go. They take effect in a memory
// store when they are let go.
class ScriptedStore final : public context_store::ContextStore {
 public:
  enum class Operation : std::uint8_t { kGet, kPut, kRemove, kAdvance };
  using Result = context_store::StoreResult;
  static constexpr std::chrono::seconds kPatience{60};

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
  // Waits for pending operations; fails when they do not come.
  void WaitForHeld(std::size_t count = 1) {
    std::unique_lock<std::mutex> lock(mutex_);
    if (!changed_.wait_for(lock, kPatience, [&] { return waiting_.size() >= count; })) {
      ADD_FAILURE() << waiting_.size() << " operations are pending, not " << count;
    }
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
  // It may have dropped entries to make room.
  void Forget(bool forgets) { forgets_ = forgets; }
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
      if (!Map(mapped.use, call) || !JudgeName(key, mapped, call)) return &call;
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
      const std::lock_guard<std::mutex> lock(mutex_);
      if (call.result() == Result::kOk && context_store::IsNameUsedOnce(key.kind)) {
        removed_.insert(Name(key));
      }
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
    if (use.nonce == 0) return true;
    const bool good = use.epoch == epoch_ && epoch_ != 0;
    if (!good) call.SetResult(Result::kStale);
    use.epoch = memory_->epoch();
    return good;
  }
  // A removed entry keeps its name. False: *call has the result.
  bool JudgeName(const context_store::Key& key, context_store::PutRequest& put,
                 context_store::StoreCall& call) {
    using Mode = context_store::PutMode;
    const std::lock_guard<std::mutex> lock(mutex_);
    const bool first = put.mode == Mode::kFirst;
    if (first && forgets_) {
      call.SetResult(Result::kStale);
      return false;
    }
    if (context_store::IsNameUsedOnce(key.kind) && removed_.contains(Name(key))) {
      call.SetResult(first || put.mode == Mode::kCreate ? Result::kExists : Result::kNotFound);
      return false;
    }
    if (first) put.mode = Mode::kCreate;
    return true;
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
  std::set<std::string> removed_;
  bool forgets_ = false;
  std::function<Treatment()> treat_;
};

}  // namespace ktlsim::test
