// The asynchronous contract on seeded schedules: processors, foreign submitters and notification
// threads take turns on one thread, in an order drawn from a seed; the invariants are checked at
// every step. A failing seed is in the message; KTLSIM_SEED=<n> runs it alone, with its schedule.

#include <ktlsim/sspi_ext.h>
#include <sspi.h>

#include <cstdlib>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "io/memory_network.h"
#include "io/memory_ring.h"
#include "kernel_sim/executive/seeded_scheduler.h"
#include "kernel_sim/sspi/packages/scripted_package.h"
#include "kernel_sim/sspi/runtime.h"

namespace ktlsim::sspi {
namespace {

using executive::SeededScheduler;

io::MemoryNetworkOptions NetworkOptions(std::uint64_t seed) {
  io::MemoryNetworkOptions options;
  options.seed = seed;
  return options;
}

std::uint64_t SeedsFromEnvironment(std::uint64_t otherwise) {
  const char* text = std::getenv("KTLSIM_SEEDS");
  return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

// One call of the contract, from its submission to its callback.
struct Call {
  enum class Kind { kLeg, kDelete } kind = Kind::kLeg;
  SspiAsyncContext* async = nullptr;
  CtxtHandle handle{};  // the context, or where a first leg stores it
  int callbacks = 0;
  bool accepted = false;
  bool final_seen = false;
  SecBuffer out{};
  SecBufferDesc out_desc{};
  char token[16] = {};
  ULONG attributes = 0;
};

// The world of one seed: a runtime without threads, a few foreign submitters, some contexts.
class World {
 public:
  explicit World(std::uint64_t seed)
      : network_(NetworkOptions(seed)),
        scheduler_(
            seed,
            {.ready = [](io::Ring& ring) { return static_cast<io::MemoryRing&>(ring).Ready(); },
             .advance_time = [this] { return network_.AdvanceToNextEvent(); }}) {
    script_.repeats = true;
    script_.legs.resize(3);
    script_.legs[0].status = SEC_I_CONTINUE_NEEDED;
    script_.legs[0].output = "token";
    script_.legs[0].attributes = 7;
    script_.legs[1] = script_.legs[0];
    script_.legs[1].on_suspend = [this](executive::ResumeToken token) {
      suspended_.push_back(token);
    };
    script_.legs[2].status = SEC_E_OK;
    script_.legs[2].output = "last";
    script_.legs[2].attributes = 9;

    executive::ExecutiveOptions options;
    options.processors = 1 + static_cast<unsigned>(random().Below(2));
    options.placement =
        random().Below(2) == 0 ? executive::Placement::kInline : executive::Placement::kPool;
    options.queue_depth = 2 + static_cast<std::uint32_t>(random().Below(6));
    options.ring_factory = [this]() -> Result<std::unique_ptr<io::Ring>> {
      Result<std::unique_ptr<io::MemoryRing>> ring = io::CreateMemoryRing(network_, {});
      if (!ring.ok()) return ring.status();
      return std::unique_ptr<io::Ring>(std::move(*ring));
    };
    options.step = scheduler_.AsStep();
    Runtime& runtime = Runtime::Instance();
    runtime.RegisterPackage(ScriptedPackage::Instance());
    EXPECT_EQ(runtime.Start(options), SEC_E_OK);
    scheduler_.Attach(*runtime.ExecutiveIfRunning());
    scheduler_.SetCheck([this] { Check(); });
    char package[] = "ktlsim scripted";
    EXPECT_EQ(AcquireCredentialsHandleA(nullptr, package, SECPKG_CRED_INBOUND, nullptr, &script_,
                                        nullptr, nullptr, &credential_, nullptr),
              SEC_E_OK);
    for (int i = 0; i < 3; ++i) {
      scheduler_.AddActor("submitter", [this, left = 12]() mutable {
        Submit();
        return --left > 0;
      });
    }
    scheduler_.AddActor("resumer", [this, left = 40]() mutable {
      Resume();
      return --left > 0;
    });
  }

  void Run() {
    ASSERT_TRUE(scheduler_.Run(100000)) << "runs for ever";
    // What is suspended for good is resumed, contexts that were made are deleted.
    while (!suspended_.empty()) {
      Resume();
      ASSERT_TRUE(scheduler_.Run(100000));
    }
    for (const CtxtHandle& handle : contexts_) Delete(handle);
    ASSERT_TRUE(scheduler_.Run(100000));
    EXPECT_EQ(FreeCredentialsHandle(&credential_), SEC_E_OK);
    EXPECT_EQ(KtlsimStop(), SEC_E_OK);
    for (const auto& call : calls_) {
      EXPECT_EQ(call->callbacks, call->accepted && call->kind == Call::Kind::kLeg ? 1 : 0);
      if (call->kind == Call::Kind::kLeg) SspiFreeAsyncContext(call->async);
    }
    KtlsimStatistics statistics{};
    statistics.cbSize = sizeof(statistics);
    EXPECT_EQ(KtlsimQueryStatistics(&statistics), SEC_E_OK);
    EXPECT_EQ(statistics.cSecurityContexts, 0U);
    EXPECT_EQ(statistics.cCredentials, 0U);
    EXPECT_EQ(statistics.cAsyncContexts, 0U);
  }

  std::uint64_t trace_hash() const { return scheduler_.trace_hash() ^ network_.TraceHash(); }
  std::string trace_text() const { return scheduler_.TraceText(); }
  std::size_t accepted() const { return accepted_; }
  std::size_t refused() const { return refused_; }

 private:
  io::SeededRandom& random() { return scheduler_.random(); }

  static void Callback(SspiAsyncContext* context, void* data) {
    auto* call = static_cast<Call*>(data);
    ++call->callbacks;
    EXPECT_EQ(call->async, context);
    // Outputs are there, the status is final.
    const SECURITY_STATUS status = SspiGetAsyncCallStatus(context);
    EXPECT_NE(status, SEC_I_ASYNC_CALL_PENDING);
    CheckOutputs(*call, status);
  }

  static void CheckOutputs(const Call& call, SECURITY_STATUS status) {
    if (status == SEC_I_CONTINUE_NEEDED) {
      EXPECT_EQ(call.out.cbBuffer, 5U);
      EXPECT_EQ(call.attributes, 7U);
    } else if (status == SEC_E_OK) {
      EXPECT_EQ(call.out.cbBuffer, 4U);
      EXPECT_EQ(call.attributes, 9U);
    } else {
      EXPECT_EQ(status, SEC_E_INVALID_HANDLE) << "the context was deleted in front of this leg";
    }
  }

  // What holds after every step, also for whoever only polls.
  void Check() {
    for (const auto& call : calls_) {
      if (!call->accepted || call->final_seen || call->kind != Call::Kind::kLeg) continue;
      ASSERT_LE(call->callbacks, 1);
      const SECURITY_STATUS status = SspiGetAsyncCallStatus(call->async);
      if (status == SEC_I_ASYNC_CALL_PENDING) {
        ASSERT_EQ(call->callbacks, 0) << "notified before it was over";
        continue;
      }
      call->final_seen = true;
      CheckOutputs(*call, status);
      if (status >= 0 && !Known(call->handle)) contexts_.push_back(call->handle);
    }
  }

  bool Known(const CtxtHandle& handle) const {
    for (const CtxtHandle& known : deleted_) {
      if (known.dwUpper == handle.dwUpper) return true;
    }
    for (const CtxtHandle& known : contexts_) {
      if (known.dwUpper == handle.dwUpper) return true;
    }
    return false;
  }

  // One step of a foreign submitter.
  void Submit() {
    const std::size_t what = random().Below(8);
    if (what == 0 && !contexts_.empty()) {
      const std::size_t victim = random().Below(contexts_.size());
      const CtxtHandle handle = contexts_[victim];
      contexts_.erase(contexts_.begin() + static_cast<std::ptrdiff_t>(victim));
      Delete(handle);
      return;
    }
    auto call = std::make_unique<Call>();
    call->async = SspiCreateAsyncContext();
    SspiSetAsyncNotifyCallback(call->async, &Callback, call.get());
    if (random().Below(3) == 0) KtlsimSetNotifyMode(call->async, KTLSIM_NOTIFY_ON_PROCESSOR);
    call->out = {sizeof(call->token), SECBUFFER_TOKEN, call->token};
    call->out_desc = {SECBUFFER_VERSION, 1, &call->out};
    const bool first = contexts_.empty() || what < 3;
    CtxtHandle context{};
    if (!first) {
      context = contexts_[random().Below(contexts_.size())];
      call->handle = context;
    }
    const SECURITY_STATUS status = SspiAcceptSecurityContextAsync(
        call->async, &credential_, first ? nullptr : &context, nullptr, 0, 0, &call->handle,
        &call->out_desc, &call->attributes, nullptr);
    call->accepted = status == SEC_E_OK;
    if (call->accepted) {
      ++accepted_;
    } else {
      EXPECT_EQ(status, SEC_E_INSUFFICIENT_MEMORY) << "only a full queue refuses";
      ++refused_;
    }
    calls_.push_back(std::move(call));
  }

  // The documented form: no callback, handle overwritten and async context freed at once.
  void Delete(CtxtHandle handle) {
    SspiAsyncContext* async = SspiCreateAsyncContext();
    deleted_.push_back(handle);
    EXPECT_EQ(SspiDeleteSecurityContextAsync(async, &handle), SEC_E_OK) << "never refused";
    SecInvalidateHandle(&handle);
    SspiFreeAsyncContext(async);
  }

  void Resume() {
    if (suspended_.empty()) return;
    executive::ResumeToken token = suspended_.front();
    suspended_.pop_front();
    token.Resume();
    token.Resume();  // the second one counts for nothing
  }

  io::MemoryNetwork network_;
  SeededScheduler scheduler_;
  Script script_;
  CredHandle credential_{};
  std::vector<std::unique_ptr<Call>> calls_;
  std::vector<CtxtHandle> contexts_;
  std::vector<CtxtHandle> deleted_;
  std::deque<executive::ResumeToken> suspended_;
  std::size_t accepted_ = 0;
  std::size_t refused_ = 0;
};

class SeededScheduleTest : public testing::Test {
 protected:
  // A runtime of another test in this program would be in the way.
  void SetUp() override { EXPECT_EQ(KtlsimStop(), SEC_E_OK); }
  // What is stopped stays stopped: the next test in this program wants one.
  void TearDown() override { EXPECT_EQ(KtlsimStart(nullptr), SEC_E_OK); }
};

TEST_F(SeededScheduleTest, KeepsTheContractOnEverySchedule) {
  std::size_t accepted = 0;
  std::size_t refused = 0;
  const char* one = std::getenv("KTLSIM_SEED");
  const std::uint64_t first = one != nullptr ? std::strtoull(one, nullptr, 10) : 1;
  const std::uint64_t last = one != nullptr ? first : SeedsFromEnvironment(2000);
  for (std::uint64_t seed = first; seed <= last; ++seed) {
    World world(seed);
    world.Run();
    accepted += world.accepted();
    refused += world.refused();
    ASSERT_FALSE(HasFailure()) << "KTLSIM_SEED=" << seed << " replays this\n"
                               << (one != nullptr ? world.trace_text() : std::string());
  }
  if (one == nullptr) {
    EXPECT_GT(accepted, 0U);
    EXPECT_GT(refused, 0U) << "the queues were never full: the schedules are too tame";
  }
}

TEST_F(SeededScheduleTest, ReplaysASeedStepByStep) {
  std::uint64_t differing = 0;
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    std::uint64_t hashes[2] = {};
    for (std::uint64_t& hash : hashes) {
      World world(seed);
      world.Run();
      hash = world.trace_hash();
    }
    ASSERT_EQ(hashes[0], hashes[1]) << "seed " << seed;
    World other(seed + 1000);
    other.Run();
    if (other.trace_hash() != hashes[0]) ++differing;
  }
  EXPECT_EQ(differing, 50U) << "different seeds, different schedules";
}

}  // namespace
}  // namespace ktlsim::sspi
