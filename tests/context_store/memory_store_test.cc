#include "kernel_sim/context_store/memory_store.h"

#include <atomic>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "tests/context_store/store_test_support.h"
#include "tests/support/seeds.h"

namespace ktlsim::context_store {
namespace {

class MemoryStoreTest : public ::testing::Test {
 protected:
  void Begin(std::size_t entries_max = 1000, std::size_t outside_bytes_max = 1 << 20) {
    store = MemoryStore::Create(
                clock, {.entries_max = entries_max, .outside_bytes_max = outside_bytes_max})
                .value();
  }
  StoreResult Put(std::string_view name, const PutRequest& put) {
    EXPECT_EQ(store->Put(call, Named(name), put), Begun::kDone);
    return call.result();
  }
  StoreResult Get(std::string_view name, Kind kind = Kind::kDigestContext) {
    EXPECT_EQ(store->Get(call, Named(name, kind)), Begun::kDone);
    return call.result();
  }
  StoreResult Remove(std::string_view name) {
    EXPECT_EQ(store->Remove(call, Named(name)), Begun::kDone);
    return call.result();
  }
  StoreResult Advance(std::string_view name, const NonceUse& use) {
    EXPECT_EQ(store->Advance(call, Named(name), use), Begun::kDone);
    return call.result();
  }
  StoreCounts Counts() {
    EXPECT_EQ(store->Count(call), Begun::kDone);
    return call.counts();
  }
  NonceUse Use(std::uint64_t nonce, std::uint32_t count, std::uint32_t window = 64) {
    return {.epoch = store->epoch(), .nonce = nonce, .count = count, .window = window};
  }
  void TearDown() override { EXPECT_EQ(call.completions, 0) << "nothing is ever pending"; }

  HandClock clock;
  std::unique_ptr<MemoryStore> store;
  TestCall call;
};

// A name that may have been used before is refused as long as somebody may have used it.
TEST_F(MemoryStoreTest, FirstUseOfANameIsKnownUntilSomethingIsDropped) {
  Begin(1);
  const auto first = [&](std::string_view name) {
    PutRequest put = Lasting("value", PutMode::kFirst);
    put.idle_ns = 60 * kNsPerSecond;
    return Put(name, put);
  };
  EXPECT_EQ(first("a"), StoreResult::kOk);
  EXPECT_EQ(first("a"), StoreResult::kExists);
  EXPECT_EQ(Remove("a"), StoreResult::kOk);
  EXPECT_EQ(first("a"), StoreResult::kStale);
  EXPECT_EQ(first("b"), StoreResult::kStale) << "it does not know which one it was";
  EXPECT_EQ(Put("a", Lasting("value", PutMode::kCreate)), StoreResult::kOk);
  clock.now_ns += 60 * kNsPerSecond;
  // There is room for one.
  EXPECT_EQ(first("b"), StoreResult::kOk);
  EXPECT_EQ(Get("a"), StoreResult::kNotFound);
  EXPECT_EQ(first("a"), StoreResult::kStale);
}

TEST_F(MemoryStoreTest, ReturnsWhatWasPut) {
  Begin();
  EXPECT_EQ(Get("a"), StoreResult::kNotFound);
  EXPECT_EQ(Put("a", Lasting("first")), StoreResult::kOk);
  EXPECT_EQ(Get("a"), StoreResult::kOk);
  EXPECT_EQ(call.text(), "first");
  EXPECT_EQ(Put("a", Lasting("second")), StoreResult::kOk);
  EXPECT_EQ(Get("a"), StoreResult::kOk);
  EXPECT_EQ(call.text(), "second");
  EXPECT_EQ(Get("a", Kind::kTlsSession), StoreResult::kNotFound) << "another kind";
  EXPECT_EQ(Remove("a"), StoreResult::kOk);
  EXPECT_EQ(Remove("a"), StoreResult::kNotFound);
  EXPECT_EQ(Get("a"), StoreResult::kNotFound);
}

// Values inside of their slot, at its end, and outside.
TEST_F(MemoryStoreTest, ValuesOfEverySize) {
  Begin();
  for (std::size_t size = 0; size < 300; ++size) {
    const std::string value(size, static_cast<char>('a' + size % 26));
    EXPECT_EQ(Put("0123456789abcdef", Lasting(value)), StoreResult::kOk);
    EXPECT_EQ(Get("0123456789abcdef"), StoreResult::kOk);
    EXPECT_EQ(call.text(), value);
  }
  const std::string largest(kValueBytesMax, 'x');
  EXPECT_EQ(Put("b", Lasting(largest)), StoreResult::kOk);
  EXPECT_EQ(Get("b"), StoreResult::kOk);
  EXPECT_EQ(call.text(), largest);
  EXPECT_EQ(Put("b", Lasting(largest + "x")), StoreResult::kTooLarge);
}

TEST_F(MemoryStoreTest, NamesHaveABound) {
  Begin();
  const std::string longest(kNameBytesMax, 'n');
  EXPECT_EQ(Put(longest, Lasting("value")), StoreResult::kOk);
  EXPECT_EQ(Get(longest), StoreResult::kOk);
  for (const std::string& name : {std::string(), longest + "n"}) {
    EXPECT_EQ(Put(name, Lasting("value")), StoreResult::kTooLarge);
    EXPECT_EQ(Get(name), StoreResult::kTooLarge);
    EXPECT_EQ(Remove(name), StoreResult::kTooLarge);
    EXPECT_EQ(Advance(name, Use(1, 1)), StoreResult::kTooLarge);
  }
}

TEST_F(MemoryStoreTest, CreateAndReplaceLookFirst) {
  Begin();
  EXPECT_EQ(Put("a", Lasting("1", PutMode::kReplace)), StoreResult::kNotFound);
  EXPECT_EQ(Put("a", Lasting("2", PutMode::kCreate)), StoreResult::kOk);
  EXPECT_EQ(Put("a", Lasting("3", PutMode::kCreate)), StoreResult::kExists);
  EXPECT_EQ(Put("a", Lasting("4", PutMode::kReplace)), StoreResult::kOk);
  EXPECT_EQ(Get("a"), StoreResult::kOk);
  EXPECT_EQ(call.text(), "4");
}

TEST_F(MemoryStoreTest, EntriesExpire) {
  Begin();
  PutRequest put = Lasting("value");
  put.lifetime_ns = 1000;
  EXPECT_EQ(Put("a", put), StoreResult::kOk);
  clock.now_ns += 999;
  EXPECT_EQ(Get("a"), StoreResult::kOk);
  clock.now_ns += 1;
  EXPECT_EQ(Put("a", Lasting("x", PutMode::kReplace)), StoreResult::kNotFound);
  EXPECT_EQ(Get("a"), StoreResult::kNotFound);
  EXPECT_EQ(Counts().expired, 1U);
  EXPECT_EQ(Put("a", Lasting("again", PutMode::kCreate)), StoreResult::kOk);
}

TEST_F(MemoryStoreTest, AnEntryWithoutRequestsExpiresEarlier) {
  Begin();
  PutRequest put = Lasting("value");
  put.lifetime_ns = 100 * kNsPerSecond;
  put.idle_ns = 10 * kNsPerSecond;
  put.use = Use(5, 1);
  EXPECT_EQ(Put("a", put), StoreResult::kOk);
  std::uint32_t count = 1;
  for (int i = 0; i < 11; ++i) {
    clock.now_ns += 9 * kNsPerSecond;
    EXPECT_EQ(Advance("a", Use(5, ++count)), StoreResult::kOk) << i;
    EXPECT_EQ(Advance("a", Use(5, count)), StoreResult::kOutOfSequence);
  }
  clock.now_ns += kNsPerSecond;  // 100 s in all: no request prolongs it beyond
  EXPECT_EQ(Advance("a", Use(5, ++count)), StoreResult::kNotFound);
  EXPECT_EQ(Put("a", put), StoreResult::kOk);
  clock.now_ns += 10 * kNsPerSecond;
  EXPECT_EQ(Get("a"), StoreResult::kNotFound) << "no request for 10 s";
}

TEST_F(MemoryStoreTest, IdleTimeMayBeYears) {
  Begin();
  constexpr std::uint64_t kYearNs = 365 * 86'400 * kNsPerSecond;
  PutRequest put = Lasting("value");
  put.lifetime_ns = 100 * kYearNs;
  put.idle_ns = 3 * kYearNs;
  EXPECT_EQ(Put("a", put), StoreResult::kOk);
  clock.now_ns += put.idle_ns - 1;
  EXPECT_EQ(Get("a"), StoreResult::kOk);
  clock.now_ns += 1;
  EXPECT_EQ(Get("a"), StoreResult::kNotFound);
}

// Entries that nothing asks for any more are dropped when others come.
TEST_F(MemoryStoreTest, PutsSweepWhatExpired) {
  Begin();
  PutRequest brief = Lasting("value");
  brief.lifetime_ns = 1000;
  for (int i = 0; i < 100; ++i)
    EXPECT_EQ(Put("brief" + std::to_string(i), brief), StoreResult::kOk);
  clock.now_ns += 1000;
  for (int i = 0; i < 400; ++i) {
    EXPECT_EQ(Put("lasting" + std::to_string(i), Lasting("value")), StoreResult::kOk);
  }
  EXPECT_EQ(Counts().entries[0], 400U);
  EXPECT_EQ(Counts().expired, 100U);
  EXPECT_EQ(Counts().evicted, 0U);
}

TEST_F(MemoryStoreTest, AFullStoreKeepsWhatIsLookedAt) {
  Begin(64);
  for (int i = 0; i < 64; ++i) EXPECT_EQ(Put(std::to_string(i), Lasting("v")), StoreResult::kOk);
  // The first entry that does not fit uses up the second chance of all; from then on it matters
  // which entries are looked up.
  EXPECT_EQ(Put("first", Lasting("v")), StoreResult::kOk);
  int kept = 0;
  for (int round = 0; round < 200; ++round) {
    if (Get("63") == StoreResult::kOk) ++kept;
    EXPECT_EQ(Put("flood" + std::to_string(round), Lasting("v")), StoreResult::kOk);
  }
  EXPECT_EQ(kept, 200);
  EXPECT_EQ(Counts().entries[0], 64U);
  EXPECT_EQ(Counts().evicted, 201U);
}

TEST_F(MemoryStoreTest, BytesOutsideAreBounded) {
  Begin(64, 10'000);
  const std::string large(3000, 'x');
  for (int i = 0; i < 10; ++i) EXPECT_EQ(Put(std::to_string(i), Lasting(large)), StoreResult::kOk);
  EXPECT_EQ(Counts().entries[0], 3U);
  EXPECT_EQ(Get("9"), StoreResult::kOk);
  EXPECT_EQ(Put("9", Lasting(std::string(10'000, 'y'))), StoreResult::kOk) << "its own make room";
  EXPECT_EQ(Counts().entries[0], 1U);
  EXPECT_EQ(Put("9", Lasting(std::string(10'001, 'y'))), StoreResult::kFull);
  EXPECT_EQ(Get("9"), StoreResult::kOk) << "still there";
  EXPECT_EQ(call.text(), std::string(10'000, 'y'));
}

TEST_F(MemoryStoreTest, AUseIsCountedOnce) {
  Begin();
  PutRequest put = Lasting("value", PutMode::kCreate);
  put.use = Use(5, 1);
  EXPECT_EQ(Put("a", put), StoreResult::kOk);
  EXPECT_EQ(Advance("a", Use(5, 1)), StoreResult::kOutOfSequence) << "the Put has counted it";
  EXPECT_EQ(Advance("a", Use(5, 2)), StoreResult::kOk);
  EXPECT_EQ(Advance("a", Use(5, 2)), StoreResult::kOutOfSequence);
  EXPECT_EQ(Advance("b", Use(5, 2)), StoreResult::kNotFound);
}

TEST_F(MemoryStoreTest, ARefusedUseWritesNothing) {
  Begin();
  PutRequest put = Lasting("value", PutMode::kCreate);
  put.use = Use(5, 1);
  EXPECT_EQ(Put("a", put), StoreResult::kOk);
  put = Lasting("other", PutMode::kReplace);
  put.use = Use(5, 1);
  EXPECT_EQ(Put("a", put), StoreResult::kOutOfSequence) << "a response that came twice";
  put.use = Use(4, 1);
  EXPECT_EQ(Put("a", put), StoreResult::kStale) << "an older nonce";
  EXPECT_EQ(Get("a"), StoreResult::kOk);
  EXPECT_EQ(call.text(), "value");
}

TEST_F(MemoryStoreTest, AnotherLifeOfTheStoreIsStale) {
  Begin();
  PutRequest put = Lasting("value");
  put.use = Use(5, 1);
  const NonceUse before = Use(5, 2);
  EXPECT_EQ(Put("a", put), StoreResult::kOk);
  Begin();
  EXPECT_NE(store->epoch(), before.epoch);
  EXPECT_NE(store->epoch(), 0U);
  EXPECT_EQ(Put("a", put), StoreResult::kStale) << "a nonce made before";
  put.use = Use(6, 1);
  EXPECT_EQ(Put("a", put), StoreResult::kOk);
  EXPECT_EQ(Advance("a", before), StoreResult::kStale);
}

TEST_F(MemoryStoreTest, CountsByKind) {
  Begin();
  for (int i = 0; i < 10; ++i) {
    const std::string name = std::to_string(i);
    EXPECT_EQ(store->Put(call, Named(name, Kind::kTlsSession), Lasting("v")), Begun::kDone);
    if (i >= 3) continue;
    EXPECT_EQ(Put(name, Lasting("v")), StoreResult::kOk);
  }
  const StoreCounts counts = Counts();
  EXPECT_EQ(counts.entries[static_cast<std::size_t>(Kind::kDigestContext)], 3U);
  EXPECT_EQ(counts.entries[static_cast<std::size_t>(Kind::kTlsSession)], 10U);
  EXPECT_EQ(counts.entries[static_cast<std::size_t>(Kind::kTicketKeys)], 0U);
}

TEST_F(MemoryStoreTest, BoundsAreChecked) {
  EXPECT_EQ(MemoryStore::Create(clock, {.entries_max = 0}).status().category(),
            Category::kContract);
  Begin(1);
  EXPECT_EQ(Put("a", Lasting("v")), StoreResult::kOk);
  EXPECT_EQ(Put("b", Lasting("v")), StoreResult::kOk);
  EXPECT_EQ(Get("a"), StoreResult::kNotFound);
}

// Random operations, compared with a map that is never full.
TEST_F(MemoryStoreTest, DoesAsAMapDoes) {
  const auto seeds = test::SeedsToRun(20);
  for (std::uint64_t seed = seeds.first; seed <= seeds.last; ++seed) {
    SCOPED_TRACE("KTLSIM_SEED=" + std::to_string(seed));
    Begin(seed % 2 == 0 ? 4096 : 300);  // or as many as there are names: full
    std::mt19937_64 random(seed);
    std::map<std::string, std::string> expected;
    for (int step = 0; step < 3000; ++step) {
      const std::string name = std::to_string(random() % 300);
      const std::string value(random() % 130, static_cast<char>('a' + random() % 26));
      const auto found = expected.find(name);
      switch (random() % 4) {
        case 0:
        case 1:
          ASSERT_EQ(Put(name, Lasting(value)), StoreResult::kOk);
          expected[name] = value;
          break;
        case 2:
          ASSERT_EQ(Remove(name) == StoreResult::kOk, found != expected.end());
          expected.erase(name);
          break;
        default:
          ASSERT_EQ(Get(name) == StoreResult::kOk, found != expected.end());
          if (found == expected.end()) break;
          ASSERT_EQ(call.text(), found->second);
      }
    }
    ASSERT_EQ(Counts().entries[0], expected.size());
  }
}

// Eight clients in parallel on one context: each count is accepted exactly once.
TEST_F(MemoryStoreTest, ThreadsShareOneCount) {
  constexpr std::uint32_t kUses = 2000;
  Begin();
  PutRequest put = Lasting("value");
  put.use = Use(5, 1);
  ASSERT_EQ(Put("a", put), StoreResult::kOk);
  std::atomic<std::uint32_t> next{2};
  std::atomic<std::uint32_t> accepted{0};
  std::vector<std::atomic<int>> times(kUses + 2);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      TestCall own;
      for (std::uint32_t count = next++; count < kUses + 2; count = next++) {
        for (int twice = 0; twice < 2; ++twice) {
          ASSERT_EQ(store->Advance(own, Named("a"), Use(5, count)), Begun::kDone);
          if (own.result() != StoreResult::kOk) continue;
          ++times[count];
          ++accepted;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const auto& one : times) EXPECT_LE(one, 1);
  EXPECT_GT(accepted, 0U);
}

}  // namespace
}  // namespace ktlsim::context_store
