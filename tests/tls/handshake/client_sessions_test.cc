#include "tls/handshake/client_sessions.h"

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <openssl/ssl.h>

namespace ktlsim::tls::test {
namespace {

std::int64_t g_now = 1000;

MemoryClientSessions::Options Options(std::size_t keys_max = 1000) {
  MemoryClientSessions::Options options;
  options.keys_max = keys_max;
  options.sessions_per_key_max = 2;
  options.now_s = [] { return g_now; };
  return options;
}

ClientSession Session(std::uint8_t value, bool single_use, std::int64_t expires_at = 2000) {
  const std::shared_ptr<SSL_SESSION> session(SSL_SESSION_new(), &SSL_SESSION_free);
  SSL_SESSION_set1_id_context(session.get(), &value, 1);
  return {session, expires_at, single_use};
}

std::uint8_t ValueOf(const ClientSession& session) {
  unsigned size = 0;
  return SSL_SESSION_get0_id_context(session.session.get(), &size)[0];
}

TEST(MemoryClientSessionsTest, ASingleUseSessionLeaves) {
  MemoryClientSessions store(Options());
  for (std::uint8_t i = 1; i <= 3; ++i) store.Put("a", Session(i, true));
  EXPECT_EQ(store.size(), 2U) << "the oldest session was dropped";
  EXPECT_EQ(ValueOf(*store.Get("a")), 3);
  EXPECT_EQ(ValueOf(*store.Get("a")), 2);
  EXPECT_FALSE(store.Get("a"));
}

TEST(MemoryClientSessionsTest, AnotherSessionStaysAndReplacesOlderOnes) {
  MemoryClientSessions store(Options());
  store.Put("a", Session(1, false));
  store.Put("a", Session(2, false));
  EXPECT_EQ(store.size(), 1U);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(ValueOf(*store.Get("a")), 2);
  store.Remove("a");
  EXPECT_FALSE(store.Get("a"));
  store.Remove("a");
}

TEST(MemoryClientSessionsTest, AnExpiredSessionIsNotAnswered) {
  MemoryClientSessions store(Options());
  store.Put("a", Session(1, true, 5000));
  store.Put("a", Session(2, true, 1500));
  g_now = 1500;
  EXPECT_EQ(ValueOf(*store.Get("a")), 1);
  EXPECT_EQ(store.size(), 0U);
  g_now = 1000;
}

TEST(MemoryClientSessionsTest, TheLeastRecentlyUsedKeyLeavesFirst) {
  MemoryClientSessions store(Options(0));  // one key per shard
  for (int i = 0; i < 1000; ++i) store.Put("key" + std::to_string(i), Session(1, false));
  EXPECT_LE(store.size(), 16U);
  EXPECT_TRUE(store.Get("key999"));
}

TEST(MemoryClientSessionsTest, IsBoundedInBytes) {
  MemoryClientSessions::Options options = Options(100'000);
  options.bytes_max = 16 * 10'000;
  MemoryClientSessions store(options);
  for (int i = 0; i < 1000; ++i) {
    ClientSession session = Session(1, i % 2 == 0);
    session.bytes = 3000;
    store.Put("key" + std::to_string(i % 300), std::move(session));
  }
  EXPECT_LE(store.bytes(), options.bytes_max);
  EXPECT_GE(store.size(), 16U * 2);
  EXPECT_EQ(store.bytes(), store.size() * 3000);
  ClientSession huge = Session(1, false);
  huge.bytes = 10'001;
  store.Put("huge", std::move(huge));
  EXPECT_FALSE(store.Get("huge"));
  for (int i = 0; i < 300; ++i) {
    while (store.Get("key" + std::to_string(i))) store.Remove("key" + std::to_string(i));
  }
  EXPECT_EQ(store.bytes(), 0U);
}

TEST(MemoryClientSessionsTest, ManyThreadsAtOnce) {
  MemoryClientSessions store(Options(64));
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&store, t] {
      for (int i = 0; i < 2000; ++i) {
        const std::string key = std::to_string((i * 7 + t) % 100);
        if (i % 3 == 0) {
          store.Put(key, Session(1, i % 2 == 0));
        } else if (i % 17 == 0) {
          store.Remove(key);
        } else {
          store.Get(key);
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_LE(store.size(), 2U * 16 * 5);
}

}  // namespace
}  // namespace ktlsim::tls::test
