#include "kernel_sim/digest/client_cache.h"

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "kernel_sim/digest/nonce.h"

namespace ktlsim::digest {
namespace {

using Outcome = ClientCache::Outcome;

std::shared_ptr<const ClientFacts> Facts(const std::string& server,
                                         const std::string& nonce = "n") {
  auto facts = std::make_shared<ClientFacts>();
  facts->server = server;
  facts->realm = "realm";
  facts->nonce = nonce;
  facts->opaque = "o";
  return facts;
}

TEST(ClientCacheTest, HandsOutEachCountOnce) {
  ClientCache cache(4);
  const ClientCache::EntryId id = cache.Put(Facts("server"), 1);
  ClientCache::Use use;
  ASSERT_EQ(cache.Look(id, &use), Outcome::kOk);
  EXPECT_EQ(use.count, 1U);
  ASSERT_EQ(cache.Next(id, &use), Outcome::kOk);
  EXPECT_EQ(use.count, 2U);
  EXPECT_EQ(use.facts->server, "server");
  EXPECT_EQ(use.facts->realm, "realm");
  EXPECT_EQ(use.facts->opaque, "o");
  ASSERT_EQ(cache.Next(id, &use), Outcome::kOk);
  EXPECT_EQ(use.count, 3U);
  ASSERT_EQ(cache.Look(id, &use), Outcome::kOk);
  EXPECT_EQ(use.count, 3U) << "looking uses nothing";
}

TEST(ClientCacheTest, ANewNonceBeginsAnew) {
  ClientCache cache(4);
  const ClientCache::EntryId id = cache.Put(Facts("server"), 7);
  ClientCache::Use before;
  ASSERT_EQ(cache.Next(id, &before), Outcome::kOk);
  ASSERT_EQ(cache.Renew(id, Facts("server", "m"), 0), Outcome::kOk);
  ClientCache::Use use;
  ASSERT_EQ(cache.Next(id, &use), Outcome::kOk);
  EXPECT_EQ(use.facts->nonce, "m");
  EXPECT_EQ(use.count, 1U);
  EXPECT_EQ(before.facts->nonce, "n") << "who signs meanwhile goes on with the old one";
}

TEST(ClientCacheTest, ANonceIsExhausted) {
  ClientCache cache(4);
  const ClientCache::EntryId id = cache.Put(Facts("server"), kNonceCountEnd - 2);
  ClientCache::Use use;
  EXPECT_EQ(cache.Next(id, &use), Outcome::kOk);
  EXPECT_EQ(use.count, kNonceCountEnd - 1);
  EXPECT_EQ(cache.Next(id, &use), Outcome::kExhausted);
  EXPECT_EQ(use.count, kNonceCountEnd - 1);
  ASSERT_EQ(cache.Renew(id, Facts("server", "m"), 1), Outcome::kOk);
  EXPECT_EQ(cache.Next(id, &use), Outcome::kOk);
}

TEST(ClientCacheTest, TheLeastRecentlyUsedMakesRoom) {
  ClientCache cache(2);
  const ClientCache::EntryId first = cache.Put(Facts("a"), 1);
  const ClientCache::EntryId second = cache.Put(Facts("b"), 1);
  ClientCache::Use use;
  ASSERT_EQ(cache.Next(first, &use), Outcome::kOk);
  const ClientCache::EntryId third = cache.Put(Facts("c"), 1);
  EXPECT_EQ(cache.size(), 2U);
  EXPECT_EQ(cache.Next(second, &use), Outcome::kNotFound);
  EXPECT_EQ(cache.Renew(second, Facts("b"), 1), Outcome::kNotFound);
  EXPECT_EQ(cache.Look(second, &use), Outcome::kNotFound);
  EXPECT_EQ(cache.Next(first, &use), Outcome::kOk);
  EXPECT_EQ(cache.Next(third, &use), Outcome::kOk);
}

TEST(ClientCacheTest, WhatIsRemovedIsNeverFoundAgain) {
  ClientCache cache(2);
  const ClientCache::EntryId id = cache.Put(Facts("a"), 1);
  EXPECT_EQ(cache.Remove(id), Outcome::kOk);
  EXPECT_EQ(cache.Remove(id), Outcome::kNotFound);
  EXPECT_EQ(cache.size(), 0U);
  EXPECT_NE(cache.Put(Facts("a"), 1), id);
  ClientCache::Use use;
  EXPECT_EQ(cache.Next(id, &use), Outcome::kNotFound);
  EXPECT_EQ(cache.Next(0, &use), Outcome::kNotFound);
}

TEST(ClientCacheTest, NoTwoThreadsGetOneCount) {
  constexpr std::uint32_t kEach = 2000;
  constexpr std::uint32_t kThreads = 8;
  ClientCache cache(4);
  const ClientCache::EntryId id = cache.Put(Facts("server"), 0);
  std::vector<std::atomic<int>> seen(kEach * kThreads + 1);
  std::vector<std::thread> threads;
  for (std::uint32_t i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (std::uint32_t turn = 0; turn < kEach; ++turn) {
        ClientCache::Use use;
        if (cache.Next(id, &use) == Outcome::kOk) ++seen.at(use.count);
        if (turn % 500 == 0) cache.Remove(cache.Put(Facts("other"), 1));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (std::uint32_t count = 1; count <= kEach * kThreads; ++count) ASSERT_EQ(seen[count], 1);
}

}  // namespace
}  // namespace ktlsim::digest
