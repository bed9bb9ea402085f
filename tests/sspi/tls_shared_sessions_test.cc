// TLS sessions in a store that nodes share: resumed by another server, and what a handshake does
// while the store is slow, gone, stopped or taken away.

#include <ktlsim/sspi_ext.h>
#include <sspi.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "kernel_sim/sspi/packages/tls_package.h"
#include "kernel_sim/sspi/packages/tls_session_store.h"
#include "kernel_sim/sspi/packages/tls_store_statistics.h"
#include "kernel_sim/sspi/runtime.h"
#include "tests/support/scripted_store.h"
#include "tests/support/sspi_async.h"
#include "tests/support/sspi_conversation.h"
#include "tests/support/sspi_pair.h"

namespace ktlsim::test {
namespace {

using context_store::StoreResult;
using sspi::TlsPackage;
using sspi::TlsStoreStatistics;
using Operation = ScriptedStore::Operation;

constexpr ULONG kTls12Only = SP_PROT_TLS1_3;  // what is disabled
constexpr std::uint32_t kLongWaitMs = 30'000;

class SharedSessionsClock final : public Clock {
 public:
  std::uint64_t NowNs() const override { return kNsPerSecond; }
};

class TlsSharedSessionsTest : public testing::Test {
 protected:
  TlsSharedSessionsTest() {
    static_cast<void>(sspi::Runtime::Instance());
    Use(kLongWaitMs);
    before_ = package().StoreStatistics();
  }
  ~TlsSharedSessionsTest() override { EXPECT_TRUE(package().UseStore(nullptr)); }

  static TlsPackage& package() { return TlsPackage::Instance(); }
  void Use(std::uint32_t wait_ms) {
    sspi::TlsStoreOptions options;
    options.wait_ms = wait_ms;
    EXPECT_TRUE(package().UseStore(store_, options));
  }
  // Of another node, as it were: nothing in this process has anything in common with it.
  static TestCredential Server(ULONG tickets) {
    TestCredential server = TestCredential::Server(0);
    server.SetTickets(tickets);
    return server;
  }
  static bool Resumes(TestCredential& client, TestCredential& server) {
    TestEnd client_end(false);
    TestEnd server_end(true);
    EXPECT_TRUE(RunHandshake(client_end, client.get(), server_end, server.get()));
    Append(client_end.inbox, server_end.Seal(ToBytes("x")));
    EXPECT_EQ(ToText(client_end.Open(client.get())), "x");
    return server_end.Resumed() == SSL_SESSION_RECONNECT;
  }
  // A session with the first server is one with the second, and with the first again.
  static void ExpectShared(TestCredential& client, TestCredential& first, TestCredential& second) {
    EXPECT_FALSE(Resumes(client, first));
    EXPECT_TRUE(Resumes(client, second));
    EXPECT_TRUE(Resumes(client, first));
  }
  // Since the test began, as a number of one counter.
  std::uint64_t Since(std::uint64_t TlsStoreStatistics::* counter) const {
    return package().StoreStatistics().*counter - before_.*counter;
  }

  SharedSessionsClock clock_;
  const std::shared_ptr<ScriptedStore> store_ = std::make_shared<ScriptedStore>(clock_);
  TlsStoreStatistics before_;
};

TEST_F(TlsSharedSessionsTest, OneServerResumesTheTls12SessionsOfAnother) {
  TestCredential client = TestCredential::Client(kTls12Only);
  TestCredential first = Server(0);
  TestCredential second = Server(0);
  ExpectShared(client, first, second);
  EXPECT_EQ(Since(&TlsStoreStatistics::stored), 1U);
  EXPECT_EQ(Since(&TlsStoreStatistics::look_ups), 2U);
  EXPECT_EQ(Since(&TlsStoreStatistics::hits), 2U);
}

TEST_F(TlsSharedSessionsTest, OneServerOpensTheTicketsOfAnother) {
  for (const ULONG disabled : {ULONG{kTls12Only}, ULONG{SP_PROT_TLS1_2}}) {
    TestCredential client = TestCredential::Client(disabled);
    TestCredential first = Server(1);
    TestCredential second = Server(1);
    ExpectShared(client, first, second);
  }
  EXPECT_EQ(Since(&TlsStoreStatistics::look_ups), 0U);
}

TEST_F(TlsSharedSessionsTest, ACredentialFromBeforeTheStoreKeepsItsOwn) {
  ASSERT_TRUE(package().UseStore(nullptr));
  TestCredential own = Server(0);
  Use(kLongWaitMs);
  TestCredential shared = Server(0);
  TestCredential client = TestCredential::Client(kTls12Only);
  EXPECT_FALSE(Resumes(client, own));
  EXPECT_FALSE(Resumes(client, shared));
  EXPECT_TRUE(Resumes(client, shared));
  EXPECT_EQ(Since(&TlsStoreStatistics::misses), 1U);
}

// A processor that waited would complete no other handshake.
TEST_F(TlsSharedSessionsTest, AHandshakeThatWaitsHoldsNoProcessor) {
  KtlsimOptions options{};
  options.cProcessors = 1;
  const RuntimeWith one_processor(options);
  TestCredential client = TestCredential::Client(kTls12Only);
  TestCredential server = Server(0);
  EXPECT_FALSE(Resumes(client, server));
  store_->Hold(Operation::kGet);
  bool resumed = false;
  std::thread waiting([&] { resumed = Resumes(client, server); });
  store_->WaitForHeld();
  for (const ULONG disabled : {ULONG{kTls12Only}, ULONG{SP_PROT_TLS1_2}}) {
    TestCredential other = TestCredential::Client(disabled);
    EXPECT_FALSE(Resumes(other, server));
  }
  store_->LetGo();
  waiting.join();
  EXPECT_TRUE(resumed);
}

TEST_F(TlsSharedSessionsTest, AfterTheLimitTheHandshakeIsAFullOne) {
  Use(20);
  TestCredential client = TestCredential::Client(kTls12Only);
  TestCredential server = Server(0);
  EXPECT_FALSE(Resumes(client, server));
  store_->Hold(Operation::kGet);
  EXPECT_FALSE(Resumes(client, server));
  EXPECT_EQ(Since(&TlsStoreStatistics::timed_out), 1U);
  store_->LetGo();  // nobody waits any more
  EXPECT_EQ(Since(&TlsStoreStatistics::hits), 0U);
  store_->Hold(Operation::kGet, false);
  EXPECT_TRUE(Resumes(client, server)) << "the session of the full handshake";
}

TEST_F(TlsSharedSessionsTest, AStoreThatFailsCostsAFullHandshake) {
  TestCredential client = TestCredential::Client(kTls12Only);
  TestCredential server = Server(0);
  EXPECT_FALSE(Resumes(client, server));
  std::uint64_t failed = 0;
  for (const StoreResult result :
       {StoreResult::kUnavailable, StoreResult::kFull, StoreResult::kRefused,
        StoreResult::kReadOnly, StoreResult::kWrongType, StoreResult::kUnreadable,
        StoreResult::kTooLarge, StoreResult::kStopped}) {
    store_->Refuse(Operation::kGet, result);
    EXPECT_FALSE(Resumes(client, server)) << context_store::NameOf(result);
    EXPECT_EQ(Since(&TlsStoreStatistics::failed), ++failed);
    store_->Refuse(Operation::kGet, std::nullopt);
    EXPECT_TRUE(Resumes(client, server));
  }
  // Nothing can be put: the next connection finds nothing.
  store_->Refuse(Operation::kGet, StoreResult::kNotFound);
  store_->Refuse(Operation::kPut, StoreResult::kFull);
  EXPECT_FALSE(Resumes(client, server));
  store_->RefuseAll(std::nullopt);
  EXPECT_EQ(Since(&TlsStoreStatistics::not_stored), 1U);
  EXPECT_FALSE(Resumes(client, server));
  EXPECT_EQ(Since(&TlsStoreStatistics::misses), 2U);
}

TEST_F(TlsSharedSessionsTest, AStopEndsTheWait) {
  TestCredential client = TestCredential::Client(kTls12Only);
  TestCredential server = Server(0);
  EXPECT_FALSE(Resumes(client, server));
  store_->Hold(Operation::kGet);
  TestEnd client_end(false);
  TestEnd server_end(true);
  server_end.inbox = client_end.Leg(client.get());
  std::thread stopper([&] {
    store_->WaitForHeld();
    EXPECT_EQ(KtlsimStop(), SEC_E_OK);
  });
  EXPECT_TRUE(server_end.Leg(server.get()).empty());
  EXPECT_EQ(server_end.status, SEC_E_SHUTDOWN_IN_PROGRESS);
  stopper.join();
  EXPECT_EQ(KtlsimStart(nullptr), SEC_E_OK);
  store_->LetGo();
  store_->Hold(Operation::kGet, false);
}

TEST_F(TlsSharedSessionsTest, AStoreThatIsTakenAwayIsNotTouched) {
  TestCredential client = TestCredential::Client(kTls12Only);
  TestCredential server = Server(0);
  EXPECT_FALSE(Resumes(client, server));
  store_->Hold(Operation::kGet);
  bool resumed = true;
  std::thread waiting([&] { resumed = Resumes(client, server); });
  store_->WaitForHeld();
  ASSERT_TRUE(package().UseStore(nullptr));
  store_->LetGo(StoreResult::kStopped, false);
  waiting.join();
  EXPECT_FALSE(resumed);
  const int begun = store_->begun(Operation::kGet) + store_->begun(Operation::kPut);
  EXPECT_FALSE(Resumes(client, server));
  EXPECT_EQ(store_->begun(Operation::kGet) + store_->begun(Operation::kPut), begun);
  TestCredential own = Server(0);
  EXPECT_FALSE(Resumes(client, own));
  EXPECT_TRUE(Resumes(client, own));
}

// ---- Without handshakes

// Whoever names sessions can occupy no more of the store than this.
TEST(TlsSessionStoreTest, LooksUpABoundedNumberOfSessionsAtATime) {
  constexpr std::size_t kMax = sspi::TlsSessionStore::kPendingMax;
  const SharedSessionsClock clock;
  const auto store = std::make_shared<ScriptedStore>(clock);
  sspi::TlsStoreCounters counters;
  sspi::TlsSessionStore sessions(counters, store, kLongWaitMs);
  const std::vector<std::byte> id(32, std::byte{1});
  store->Hold(Operation::kGet);
  std::vector<std::shared_ptr<tls::SessionLookUp>> pending;
  for (std::size_t i = 0; i < kMax; ++i) {
    pending.push_back(sessions.Get(id));
    ASSERT_FALSE(pending.back()->done()) << i;
  }
  const auto refused = sessions.Get(id);
  EXPECT_TRUE(refused->done());
  EXPECT_TRUE(refused->session().empty());
  EXPECT_EQ(counters.failed, 1U);
  EXPECT_EQ(store->held(), kMax);
  // One that nobody waits for is pending as long as the store has it.
  pending.front()->GiveUp();
  EXPECT_TRUE(sessions.Get(id)->done());
  EXPECT_EQ(counters.failed, 2U);
  store->LetGo();
  EXPECT_FALSE(sessions.Get(id)->done());
  EXPECT_TRUE(sessions.Get(id)->done());
  EXPECT_EQ(counters.failed, 3U);
  while (store->held() != 0) store->LetGo();
  // Those that are done at once take no place.
  store->Hold(Operation::kGet, false);
  for (std::size_t i = 0; i < kMax; ++i) EXPECT_TRUE(sessions.Get(id)->done());
  EXPECT_EQ(counters.failed, 3U);
  EXPECT_EQ(counters.look_ups, 2 * kMax + 4);
  sessions.Close();
}

class TlsSharedSessionsAsyncTest : public PlacementTest {};

INSTANTIATE_TEST_SUITE_P(Placements, TlsSharedSessionsAsyncTest, AllPlacements(), PlacementName);

// Each is suspended, and a thread lets them go, in whatever order they come.
TEST_P(TlsSharedSessionsAsyncTest, ManyHandshakesWaitAtOnce) {
  const SharedSessionsClock clock;
  const auto store = std::make_shared<ScriptedStore>(clock);
  sspi::TlsStoreOptions options;
  options.wait_ms = kLongWaitMs;
  ASSERT_TRUE(TlsPackage::Instance().UseStore(store, options));
  {
    TestCredential client = TestCredential::Client(kTls12Only);
    TestCredential server = TestCredential::Server(0);
    server.SetTickets(0);
    const auto converse = [&](int count) {
      std::vector<std::unique_ptr<TlsConversation>> conversations;
      for (int i = 0; i < count; ++i) {
        conversations.push_back(
            std::make_unique<TlsConversation>(client.get(), server.get(), notify_mode()));
        conversations.back()->Start();
      }
      for (auto& conversation : conversations) EXPECT_EQ(conversation->Wait(), SEC_E_OK);
    };
    converse(1);
    const ULONGLONG resumed = Statistics().cResumed;
    constexpr int kCount = 50;
    store->Hold(Operation::kGet);
    std::thread releaser([&] {
      store->WaitForHeld(kCount);
      for (int i = 0; i < kCount; ++i) store->LetGo();
    });
    converse(kCount);
    releaser.join();
    EXPECT_EQ(Statistics().cResumed - resumed, 2U * kCount) << "at both ends";
  }
  EXPECT_TRUE(TlsPackage::Instance().UseStore(nullptr));
}

}  // namespace
}  // namespace ktlsim::test
