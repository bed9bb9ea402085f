// Ticket keys in a store that several nodes share: who makes them, who takes them, and what becomes
// of both when the store is slow, gone, forgetful or altered.
#include "kernel_sim/sspi/packages/tls_ticket_store.h"

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <openssl/rand.h>

#include "kernel_sim/base/fork_gate.h"
#include "kernel_sim/sspi/packages/tls_store_statistics.h"
#include "tests/support/package_host.h"
#include "tests/support/scripted_store.h"

namespace ktlsim::test {
namespace {

using context_store::Kind;
using context_store::StoreResult;
using sspi::TicketKeyValue;
using sspi::TlsTicketStore;
using Operation = ScriptedStore::Operation;
using Generation = tls::SharedTicketKeys::Generation;

constexpr std::int64_t kPeriodS = 7200;
constexpr Generation kPresent = 250'000;

class NodeHost final : public TestPackageHost {
 public:
  std::int64_t wall_seconds() const override { return now_s; }
  bool FillRandom(std::span<std::byte> bytes) override {
    return has_random && RAND_bytes(reinterpret_cast<unsigned char*>(bytes.data()),
                                    static_cast<int>(bytes.size())) == 1;
  }
  std::int64_t now_s = kPresent * kPeriodS + 10;
  bool has_random = true;
};

struct Node {
  explicit Node(std::shared_ptr<ScriptedStore> shared)
      : store(
            TlsTicketStore::Create(host, counters, std::move(shared), kPeriodS, [this](bool seals) {
              ++refreshed;
              sealed = seals;
            })) {}
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;
  ~Node() { store->Close(); }

  std::shared_ptr<const tls::TicketKeyRing> ring() const { return store->keys()->At(host.now_s); }
  // Empty: none.
  std::string sealing() const {
    const tls::TicketKey* const key = ring()->sealing();
    return key != nullptr ? std::string(key->name.begin(), key->name.end()) : std::string();
  }
  bool Opens(const std::string& name) const {
    return ring()->Find({reinterpret_cast<const std::uint8_t*>(name.data()), name.size()}) !=
           nullptr;
  }

  NodeHost host;
  sspi::TlsStoreCounters counters;
  int refreshed = 0;
  bool sealed = false;  // at the end of the last refresh
  std::shared_ptr<TlsTicketStore> store;
};

class StandingClock final : public Clock {
 public:
  std::uint64_t NowNs() const override { return kNsPerSecond; }
};

class TlsTicketStoreTest : public testing::Test {
 protected:
  static std::string NameOf(Generation generation) {
    return "tickets/" + std::to_string(kPeriodS) + "/" + std::to_string(generation);
  }
  template <typename Begin>
  StoreResult Do(Generation generation, Begin begin) {
    struct OneCall final : context_store::StoreCall {
      void OnStored() override {}
    } call;
    const std::string name = NameOf(generation);
    const context_store::Key key = {.kind = Kind::kTicketKeys,
                                    .name = std::as_bytes(std::span(name.data(), name.size()))};
    EXPECT_EQ(begin(call, key), context_store::Begun::kDone);
    return call.result();
  }
  void Lose(Generation generation) {
    EXPECT_EQ(
        Do(generation, [&](auto& call, const auto& key) { return shared_->Remove(call, key); }),
        StoreResult::kOk);
  }
  void PutRaw(Generation generation, const std::string& value) {
    context_store::PutRequest put;
    put.value = std::as_bytes(std::span(value.data(), value.size()));
    put.lifetime_ns = 3600 * kNsPerSecond;
    EXPECT_EQ(
        Do(generation, [&](auto& call, const auto& key) { return shared_->Put(call, key, put); }),
        StoreResult::kOk);
  }

  StandingClock clock_;
  const std::shared_ptr<ScriptedStore> shared_ = std::make_shared<ScriptedStore>(clock_);
};

TEST(TicketKeyValueTest, IsReadAsItWasWrittenAndNothingElseIs) {
  tls::TicketKey key;
  ASSERT_TRUE(key.Draw());
  TicketKeyValue::Bytes bytes{};
  TicketKeyValue::Write(key, &bytes);
  const auto read = TicketKeyValue::Read(bytes);
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->name, key.name);
  EXPECT_TRUE(
      std::ranges::equal(read->encryption_key.span(), std::as_const(key.encryption_key).span()));
  EXPECT_TRUE(std::ranges::equal(read->mac_key.span(), std::as_const(key.mac_key).span()));
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(TicketKeyValue::Read(std::span(bytes).first(size)).has_value()) << size;
  }
  bytes[0] = std::byte{2};
  EXPECT_FALSE(TicketKeyValue::Read(bytes).has_value());
}

TEST_F(TlsTicketStoreTest, TheFirstNodeMakesTheKeysAndTheOthersTakeThem) {
  Node first(shared_);
  Node second(shared_);
  EXPECT_EQ(first.sealing(), "");
  first.store->Refresh();
  EXPECT_EQ(first.refreshed, 1);
  EXPECT_TRUE(first.sealed);
  EXPECT_EQ(first.counters.keys_made, 2U) << "the present one and the next";
  second.store->Refresh();
  EXPECT_EQ(second.counters.keys_made, 0U);
  EXPECT_EQ(second.counters.keys_taken, 2U);
  EXPECT_NE(first.sealing(), "");
  EXPECT_EQ(first.sealing(), second.sealing());
  // Nothing has changed.
  first.store->Refresh();
  EXPECT_EQ(first.counters.keys_made + first.counters.keys_taken, 2U);
  EXPECT_EQ(first.counters.key_refreshes, 2U);
  EXPECT_EQ(first.counters.key_refreshes_ok, 2U);
  EXPECT_EQ(first.counters.key_refreshes_failed, 0U);
}

TEST_F(TlsTicketStoreTest, ARotationIsKnownEverywhereBeforeItHappens) {
  Node first(shared_);
  Node second(shared_);
  first.store->Refresh();
  second.store->Refresh();
  const std::string before = first.sealing();
  // The second node does not ask any more, and its clock is behind.
  first.host.now_s += kPeriodS;
  first.store->Refresh();
  const std::string now = first.sealing();
  EXPECT_NE(now, before);
  EXPECT_TRUE(first.Opens(before));
  EXPECT_EQ(second.sealing(), before);
  EXPECT_TRUE(second.Opens(now));
  second.host.now_s += kPeriodS;
  EXPECT_EQ(second.sealing(), now);
  EXPECT_TRUE(second.Opens(before));
}

TEST_F(TlsTicketStoreTest, ANodeThatStartsLateOpensTicketsOfTheGenerationBefore) {
  Node first(shared_);
  first.store->Refresh();
  const std::string before = first.sealing();
  Node late(shared_);
  late.host.now_s += kPeriodS;
  late.store->Refresh();
  EXPECT_TRUE(late.Opens(before));
  EXPECT_EQ(late.counters.keys_taken, 2U);
  EXPECT_EQ(late.counters.keys_made, 1U);
}

TEST_F(TlsTicketStoreTest, WhoLosesARaceTakesTheWinnersKey) {
  Node winner(shared_);
  Node loser(shared_);
  shared_->Hold(Operation::kPut);
  loser.store->Refresh();
  shared_->Hold(Operation::kPut, false);
  winner.store->Refresh();
  EXPECT_EQ(loser.sealing(), "");
  EXPECT_EQ(loser.refreshed, 0);
  shared_->LetGo();
  EXPECT_EQ(loser.refreshed, 1);
  EXPECT_EQ(loser.sealing(), winner.sealing());
  EXPECT_EQ(loser.counters.keys_made, 0U);
  EXPECT_EQ(loser.counters.keys_taken, 2U);
}

TEST_F(TlsTicketStoreTest, OneRefreshAtATime) {
  Node node(shared_);
  shared_->Hold(Operation::kGet);
  node.store->Refresh();
  node.store->Refresh();
  EXPECT_EQ(shared_->held(), 1U);
  shared_->Hold(Operation::kGet, false);
  shared_->LetGo();
  EXPECT_EQ(node.refreshed, 1);
  EXPECT_EQ(node.counters.keys_made, 2U);
}

TEST_F(TlsTicketStoreTest, AStoreThatIsGoneLeavesTheKeysThatAreHere) {
  Node node(shared_);
  node.store->Refresh();
  const std::string first = node.sealing();
  shared_->RefuseAll(StoreResult::kUnavailable);
  node.host.now_s += kPeriodS;
  node.store->Refresh();
  EXPECT_EQ(node.counters.key_refreshes_failed, 1U);
  EXPECT_EQ(node.counters.key_refreshes_ok, 1U);
  const std::string second = node.sealing();
  EXPECT_NE(second, "");
  EXPECT_TRUE(node.Opens(first));
  // Then nothing seals, and after that nothing opens.
  node.host.now_s += kPeriodS;
  node.store->Refresh();
  EXPECT_FALSE(node.sealed);
  EXPECT_EQ(node.sealing(), "");
  EXPECT_TRUE(node.Opens(second));
  node.host.now_s += kPeriodS;
  EXPECT_FALSE(node.Opens(second));
  EXPECT_GT(node.store->keys()->without_key(), 0U);
  // It comes back.
  shared_->RefuseAll(std::nullopt);
  node.store->Refresh();
  EXPECT_NE(node.sealing(), "");
  EXPECT_EQ(node.counters.key_refreshes_failed, 2U);
}

TEST_F(TlsTicketStoreTest, EveryFailureOfAnOperationEndsTheRefreshAndIsCounted) {
  Generation later = kPresent;
  for (const StoreResult result :
       {StoreResult::kTooLarge, StoreResult::kUnreadable, StoreResult::kUnavailable,
        StoreResult::kTimedOut, StoreResult::kFull, StoreResult::kRefused, StoreResult::kReadOnly,
        StoreResult::kWrongType, StoreResult::kUnsupported, StoreResult::kStopped}) {
    for (const Operation operation : {Operation::kGet, Operation::kPut}) {
      Node node(shared_);
      later += 100;  // there is no key yet
      node.host.now_s = later * kPeriodS;
      shared_->Refuse(operation, result);
      node.store->Refresh();
      EXPECT_EQ(node.refreshed, 1);
      EXPECT_EQ(node.counters.key_refreshes_failed, 1U) << context_store::NameOf(result);
      EXPECT_EQ(node.sealing(), "");
      shared_->Refuse(operation, std::nullopt);
      node.store->Refresh();
      EXPECT_NE(node.sealing(), "");
    }
  }
}

TEST_F(TlsTicketStoreTest, AKeyThatTheStoreHasLostIsPutBack) {
  Node first(shared_);
  first.store->Refresh();
  const std::string name = first.sealing();
  Lose(kPresent);
  Lose(kPresent + 1);
  first.store->Refresh();
  EXPECT_EQ(first.counters.keys_made, 2U) << "no other one is made";
  Node late(shared_);
  late.store->Refresh();
  EXPECT_EQ(late.sealing(), name);
  EXPECT_EQ(late.counters.keys_made, 0U);
}

TEST_F(TlsTicketStoreTest, NodesThatHaveMadeAKeyEachGoOnWithTheOneInTheStore) {
  Node first(shared_);
  first.store->Refresh();
  const std::string old = first.sealing();
  Lose(kPresent);
  Node second(shared_);
  second.store->Refresh();
  EXPECT_NE(second.sealing(), old);
  first.store->Refresh();
  EXPECT_EQ(first.sealing(), second.sealing());
  EXPECT_TRUE(first.Opens(old));
}

TEST_F(TlsTicketStoreTest, AValueThatIsNoKeyCostsItsGenerationAndNoOther) {
  PutRaw(kPresent, "not a key");
  Node node(shared_);
  node.store->Refresh();
  EXPECT_EQ(node.counters.key_refreshes_failed, 1U);
  EXPECT_EQ(node.sealing(), "");
  node.host.now_s += kPeriodS;
  EXPECT_NE(node.sealing(), "");
}

TEST_F(TlsTicketStoreTest, WithoutRandomnessNoKeyIsMade) {
  Node node(shared_);
  node.host.has_random = false;
  node.store->Refresh();
  EXPECT_EQ(node.counters.key_refreshes_failed, 1U);
  EXPECT_EQ(node.sealing(), "");
  EXPECT_EQ(shared_->begun(Operation::kPut), 0);
}

// No handshake asks for a key meanwhile.
TEST_F(TlsTicketStoreTest, ARefreshForgetsKeysThatOpenNothingAnyMore) {
  Node node(shared_);
  node.store->Refresh();
  node.host.now_s += kPeriodS;
  node.store->Refresh();
  EXPECT_TRUE(node.store->keys()->KeyOf(kPresent).has_value()) << "it still opens";
  node.host.now_s += kPeriodS;
  shared_->RefuseAll(StoreResult::kUnavailable);
  node.store->Refresh();
  EXPECT_FALSE(node.store->keys()->KeyOf(kPresent).has_value());
  EXPECT_TRUE(node.store->keys()->KeyOf(kPresent + 1).has_value());
}

// The store seals and opens with OpenSSL, whose locks a fork must not copy in the middle.
TEST_F(TlsTicketStoreTest, DoesNotAskTheStoreWhileTheProcessForks) {
  Node node(shared_);
  ForkGate::Close();
  std::atomic<bool> begins{false};
  std::thread refreshes([&] {
    begins = true;
    node.store->Refresh();
  });
  while (!begins) std::this_thread::yield();
  for (int i = 0; i < 1000; ++i) std::this_thread::yield();
  EXPECT_EQ(shared_->begun(Operation::kGet), 0);
  ForkGate::Open();
  refreshes.join();
  EXPECT_EQ(node.counters.keys_made, 2U);
}

TEST_F(TlsTicketStoreTest, AClosedStoreIsNotTouched) {
  Node node(shared_);
  shared_->Hold(Operation::kGet);
  node.store->Refresh();
  node.store->Close();
  EXPECT_EQ(shared_->held(), 1U);
  shared_->LetGo();
  EXPECT_EQ(node.refreshed, 1) << "the refresh under way ends";
  node.store->Refresh();
  EXPECT_EQ(shared_->begun(Operation::kGet), 1);
  EXPECT_EQ(shared_->begun(Operation::kPut), 0);
  EXPECT_EQ(node.counters.key_refreshes_failed, 2U);
}

TEST_F(TlsTicketStoreTest, NodesThatCutTimeDifferentlyShareNothing) {
  Node node(shared_);
  node.store->Refresh();
  NodeHost host;
  sspi::TlsStoreCounters counters;
  const auto other = TlsTicketStore::Create(host, counters, shared_, kPeriodS / 2, nullptr);
  other->Refresh();
  EXPECT_EQ(counters.keys_taken, 0U);
  EXPECT_EQ(counters.keys_made, 2U);
  other->Close();
}

}  // namespace
}  // namespace ktlsim::test
