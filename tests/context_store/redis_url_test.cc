#include "kernel_sim/context_store/redis_url.h"

#include <string>

#include <gtest/gtest.h>

namespace ktlsim::context_store {
namespace {

RedisUrl Parsed(const std::string& text) {
  RedisUrl url;
  EXPECT_EQ(ParseRedisUrl(text, &url), "") << text;
  return url;
}

TEST(RedisUrlTest, ServersByHostAndPort) {
  RedisUrl url = Parsed("redis://127.0.0.1");
  ASSERT_EQ(url.hosts.size(), 1U);
  EXPECT_EQ(url.hosts[0].host, "127.0.0.1");
  EXPECT_EQ(url.hosts[0].port, 6379);
  EXPECT_EQ(url.database, 0U);
  EXPECT_EQ(url.hosts[0].ToAddress().value().ToString(), "127.0.0.1:6379");
  url = Parsed("redis://me:p%40ss%3a@[::1]:7000/15");
  EXPECT_EQ(url.hosts[0].host, "::1");
  EXPECT_EQ(url.hosts[0].port, 7000);
  EXPECT_EQ(url.hosts[0].ToAddress().value().ToString(), "[::1]:7000");
  EXPECT_EQ(url.user, "me");
  EXPECT_EQ(url.password, "p@ss:");
  EXPECT_EQ(url.database, 15U);
  url = Parsed("redis://:secret@cache.example/");
  EXPECT_EQ(url.user, "");
  EXPECT_EQ(url.password, "secret");
  EXPECT_EQ(url.hosts[0].host, "cache.example");
  EXPECT_FALSE(url.hosts[0].ToAddress().ok()) << "needs a look-up";
}

TEST(RedisUrlTest, SocketsByPath) {
  RedisUrl url = Parsed("unix:///run/redis/redis.sock");
  EXPECT_EQ(url.unix_path, "/run/redis/redis.sock");
  EXPECT_TRUE(url.hosts.empty());
  url = Parsed("unix://me:secret@/run/a%20b@c.sock?db=2");
  EXPECT_EQ(url.unix_path, "/run/a b@c.sock");
  EXPECT_EQ(url.user, "me");
  EXPECT_EQ(url.password, "secret");
  EXPECT_EQ(url.database, 2U);
}

TEST(RedisUrlTest, OverTls) {
  const RedisUrl url = Parsed("rediss://me:secret@redis.example:6380/2");
  EXPECT_TRUE(url.tls);
  ASSERT_EQ(url.hosts.size(), 1U);
  EXPECT_EQ(url.hosts[0].host, "redis.example");
  EXPECT_EQ(url.hosts[0].port, 6380);
  EXPECT_EQ(url.password, "secret");
  EXPECT_EQ(url.database, 2U);
  EXPECT_FALSE(Parsed("redis://redis.example").tls);
}

TEST(RedisUrlTest, SentinelsByTheirMastersName) {
  const RedisUrl url = Parsed("redis+sentinel://:secret@10.0.0.1,10.0.0.2:5000,[::1]/main/3");
  ASSERT_EQ(url.hosts.size(), 3U);
  EXPECT_EQ(url.hosts[0].port, 26379);
  EXPECT_EQ(url.hosts[1].port, 5000);
  EXPECT_EQ(url.hosts[2].host, "::1");
  EXPECT_EQ(url.master, "main");
  EXPECT_EQ(url.password, "secret");
  EXPECT_EQ(url.database, 3U);
}

TEST(RedisUrlTest, WhatIsWrongIsSaidAndChangesNothing) {
  for (const std::string text : {"",
                                 "127.0.0.1:6379",
                                 "http://127.0.0.1",
                                 "rediss://a,b",
                                 "rediss+sentinel://127.0.0.1/main",
                                 "redis://",
                                 "redis://127.0.0.1:0",
                                 "redis://127.0.0.1:65536",
                                 "redis://127.0.0.1:x",
                                 "redis://[::1",
                                 "redis://[::1]x",
                                 "redis://127.0.0.1/x",
                                 "redis://127.0.0.1/-1",
                                 "redis://me@127.0.0.1",
                                 "redis://me:@127.0.0.1",
                                 "redis://me:%zz@127.0.0.1",
                                 "redis://me:%0@127.0.0.1",
                                 "redis://me:%00@127.0.0.1",
                                 "redis://a,b",
                                 "unix://",
                                 "unix://run/a",
                                 "unix:///a?x=1",
                                 "unix:///a?db=x",
                                 "redis+sentinel://127.0.0.1",
                                 "redis+sentinel://127.0.0.1/",
                                 "redis+sentinel:///main",
                                 "redis+sentinel://a,,b/main"}) {
    RedisUrl url;
    url.master = "as it was";
    EXPECT_NE(ParseRedisUrl(text, &url), "") << text;
    EXPECT_EQ(url.master, "as it was") << text;
  }
  RedisUrl url;
  EXPECT_NE(ParseRedisUrl("unix:///" + std::string(107, 'a'), &url), "");
  const std::string wrong = ParseRedisUrl("redis://me:hidden@:0", &url);
  EXPECT_EQ(wrong.find("hidden"), std::string::npos) << "no password in a message";
}

}  // namespace
}  // namespace ktlsim::context_store
