// The times of handshakes: by what was negotiated, in bounded classes, read while they are written.
#include "kernel_sim/transport/handshake_times.h"

#include <cstdint>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "io/loop.h"

namespace ktlsim::transport {
namespace {

using Classes = HandshakeClasses;

std::uint64_t Calls(const HandshakeFigures& figures) {
  return std::accumulate(figures.calls.begin(), figures.calls.end(), std::uint64_t{0});
}

// They serve as names only.
const io::Loop& LoopAt(std::size_t index) {
  static const std::uint64_t places[4] = {};
  return *reinterpret_cast<const io::Loop*>(&places[index]);
}

TEST(HandshakeClassesTest, EveryTimeIsBelowTheEndOfItsClassAndNotBelowTheOneBefore) {
  for (std::size_t i = 0; i + 1 < Classes::kClasses; ++i) {
    EXPECT_EQ(Classes::Of(Classes::End(i) - 1), i);
    EXPECT_EQ(Classes::Of(Classes::End(i)), i + 1);
  }
  EXPECT_EQ(Classes::Of(0), 0U);
  EXPECT_EQ(Classes::Of(~std::uint64_t{0}), Classes::kClasses - 1);
}

TEST(HandshakeTimesTest, AHandshakeCountsByWhatItHasNegotiated) {
  HandshakeTimesOfLoops all;
  HandshakeTimes& one = all.On(LoopAt(0));
  EXPECT_EQ(&all.On(LoopAt(0)), &one);
  one.Add({.cipher_suite = 0x1302, .group = 29}, 1'000'000);
  one.Add({.cipher_suite = 0x1302, .group = 29}, 3'000'000);
  one.Add({.cipher_suite = 0x1302, .group = 29, .resumed = true}, 5);
  all.On(LoopAt(1)).Add({.cipher_suite = 0xC02F, .group = 0, .resumed = true}, 7);
  all.On(LoopAt(1)).Add({.cipher_suite = 0x1302, .group = 29}, 2'000'000);

  const std::vector<HandshakeFigures> read = all.Read();
  ASSERT_EQ(read.size(), 3U);
  EXPECT_STREQ(read[0].version, "1.3");
  EXPECT_STREQ(read[0].suite, "TLS_AES_256_GCM_SHA384");
  EXPECT_STREQ(read[0].group, "X25519");
  EXPECT_FALSE(read[0].resumed);
  EXPECT_EQ(Calls(read[0]), 3U) << "of both loops";
  EXPECT_EQ(read[0].total_ns, 6'000'000U);
  EXPECT_EQ(read[0].calls[Classes::Of(3'000'000)], 1U);
  EXPECT_TRUE(read[1].resumed);
  EXPECT_STREQ(read[2].version, "1.2");
  EXPECT_STREQ(read[2].suite, "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256");
  EXPECT_STREQ(read[2].group, "none");
}

TEST(HandshakeTimesTest, WhatIsNotKnownIsOneKindMore) {
  HandshakeTimesOfLoops all;
  for (unsigned suite = 0; suite < 0x10000; ++suite) {
    all.On(LoopAt(0)).Add({.cipher_suite = static_cast<std::uint16_t>(suite),
                           .group = static_cast<std::uint16_t>(suite)},
                          1);
  }
  std::uint64_t calls = 0;
  for (const HandshakeFigures& figures : all.Read()) calls += Calls(figures);
  EXPECT_EQ(calls, 0x10000U);
  EXPECT_LE(all.Read().size(), 10U * 7U) << "not one for each number";
  EXPECT_STREQ(all.Read().back().suite, "other");
  EXPECT_STREQ(all.Read().back().group, "other");
}

TEST(HandshakeTimesTest, AReaderNeverSeesMoreThanWasWritten) {
  constexpr std::uint64_t kHandshakes = 20'000;
  HandshakeTimesOfLoops all;
  HandshakeTimes& times = all.On(LoopAt(0));
  std::thread writer([&times] {
    for (std::uint64_t i = 0; i < kHandshakes; ++i) {
      times.Add({.cipher_suite = 0x1301, .group = 29, .resumed = i % 2 != 0}, i);
    }
  });
  std::uint64_t before = 0;
  while (before < kHandshakes) {
    std::uint64_t calls = 0;
    for (const HandshakeFigures& figures : all.Read()) calls += Calls(figures);
    ASSERT_GE(calls, before);
    ASSERT_LE(calls, kHandshakes);
    before = calls;
  }
  writer.join();
}

}  // namespace
}  // namespace ktlsim::transport
