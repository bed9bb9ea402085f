// Ticket keys that several machines have: which of them seals, which open, and what is left of
// resumption when keys are missing.
#include "tls/handshake/shared_ticket_keys.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/tls/support.h"

namespace ktlsim::tls::test {
namespace {

using Generation = SharedTicketKeys::Generation;

constexpr std::int64_t kPeriodS = 7200;

TicketKey KeyNamed(std::uint8_t name) {
  TicketKey key;
  EXPECT_TRUE(key.Draw());
  key.name.fill(name);
  return key;
}

std::vector<int> NamesAt(SharedTicketKeys& keys, std::int64_t now_s) {
  std::vector<int> names;
  for (const TicketKey& key : keys.At(now_s)->keys) names.push_back(key.name[0]);
  return names;
}

int SealingAt(SharedTicketKeys& keys, std::int64_t now_s) {
  const auto ring = keys.At(now_s);
  return ring->sealing() != nullptr ? ring->sealing()->name[0] : 0;
}

TEST(SharedTicketKeysTest, EachSealsInItsGenerationAndOpensInTheNeighbours) {
  const auto keys = SharedTicketKeys::Create(kPeriodS);
  for (const int name : {10, 11, 12, 13}) {
    EXPECT_TRUE(keys->Take(name, KeyNamed(static_cast<std::uint8_t>(name))));
  }
  EXPECT_EQ(SealingAt(*keys, 10 * kPeriodS), 10);
  EXPECT_EQ(NamesAt(*keys, 10 * kPeriodS), (std::vector<int>{10, 11}));
  EXPECT_EQ(SealingAt(*keys, 11 * kPeriodS - 1), 10);
  EXPECT_EQ(SealingAt(*keys, 11 * kPeriodS), 11);
  EXPECT_EQ(NamesAt(*keys, 11 * kPeriodS), (std::vector<int>{11, 12, 10}));
  EXPECT_EQ(NamesAt(*keys, 13 * kPeriodS), (std::vector<int>{13, 12}));
  EXPECT_FALSE(keys->KeyOf(11).has_value()) << "it is wiped when it opens nothing any more";
  EXPECT_EQ(keys->without_key(), 0U);
}

TEST(SharedTicketKeysTest, AreForgottenWithoutAHandshake) {
  const auto keys = SharedTicketKeys::Create(kPeriodS);
  for (const int name : {10, 11, 12, 13}) {
    EXPECT_TRUE(keys->Take(name, KeyNamed(static_cast<std::uint8_t>(name))));
  }
  keys->Forget(12);
  for (const int name : {10, 11}) EXPECT_FALSE(keys->KeyOf(name).has_value()) << name;
  for (const int name : {12, 13}) EXPECT_TRUE(keys->KeyOf(name).has_value()) << name;
  EXPECT_EQ(NamesAt(*keys, 12 * kPeriodS), (std::vector<int>{12, 13}));
}

TEST(SharedTicketKeysTest, TheRingOfThePastIsForgottenAndThatOfThePresentIsKept) {
  const auto keys = SharedTicketKeys::Create(kPeriodS);
  for (const int name : {10, 11, 12}) {
    EXPECT_TRUE(keys->Take(name, KeyNamed(static_cast<std::uint8_t>(name))));
  }
  const std::weak_ptr<const TicketKeyRing> ring = keys->At(11 * kPeriodS);
  keys->Forget(10);
  EXPECT_FALSE(ring.expired()) << "it opens with all its keys";
  keys->Forget(11);
  EXPECT_TRUE(ring.expired()) << "it has the key of generation 10";
  EXPECT_EQ(NamesAt(*keys, 11 * kPeriodS), (std::vector<int>{11, 12}));
  // A key that comes later has not made a ring yet.
  EXPECT_TRUE(keys->Take(13, KeyNamed(13)));
  keys->Forget(13);
  EXPECT_EQ(NamesAt(*keys, 13 * kPeriodS), (std::vector<int>{13}));
}

TEST(SharedTicketKeysTest, WithoutTheKeyOfThePresentNothingSeals) {
  const auto keys = SharedTicketKeys::Create(kPeriodS);
  EXPECT_EQ(SealingAt(*keys, 10 * kPeriodS), 0);
  EXPECT_TRUE(NamesAt(*keys, 10 * kPeriodS).empty());
  keys->Take(11, KeyNamed(11));
  EXPECT_EQ(SealingAt(*keys, 10 * kPeriodS), 0);
  EXPECT_EQ(NamesAt(*keys, 10 * kPeriodS), (std::vector<int>{11})) << "another clock is ahead";
  EXPECT_EQ(SealingAt(*keys, 11 * kPeriodS), 11);
  EXPECT_EQ(SealingAt(*keys, 12 * kPeriodS), 0);
  EXPECT_EQ(NamesAt(*keys, 12 * kPeriodS), (std::vector<int>{11}));
  EXPECT_EQ(SealingAt(*keys, 13 * kPeriodS), 0);
  EXPECT_TRUE(NamesAt(*keys, 13 * kPeriodS).empty());
  EXPECT_GT(keys->without_key(), 0U);
}

TEST(SharedTicketKeysTest, AnotherKeyOfAGenerationSealsAndTheFirstStillOpens) {
  const auto keys = SharedTicketKeys::Create(kPeriodS);
  const TicketKey first = KeyNamed(1);
  EXPECT_TRUE(keys->Take(10, first));
  EXPECT_FALSE(keys->Take(10, first)) << "it seals already";
  EXPECT_TRUE(keys->Take(10, KeyNamed(2)));
  EXPECT_EQ(NamesAt(*keys, 10 * kPeriodS), (std::vector<int>{2, 1}));
  EXPECT_EQ(keys->KeyOf(10).value().name[0], 2);
  EXPECT_TRUE(keys->Take(10, first));
  EXPECT_EQ(NamesAt(*keys, 10 * kPeriodS), (std::vector<int>{1, 2}));
}

TEST(SharedTicketKeysTest, AreBoundedAndTheOldestLeavesFirst) {
  const auto keys = SharedTicketKeys::Create(kPeriodS);
  keys->Take(10, KeyNamed(1));
  for (std::uint8_t i = 2; i < 100; ++i) keys->Take(11, KeyNamed(i));
  const std::vector<int> names = NamesAt(*keys, 11 * kPeriodS);
  EXPECT_EQ(names.size(), SharedTicketKeys::kKeysMax);
  EXPECT_EQ(names.front(), 99);
  EXPECT_EQ(names.back(), 100 - static_cast<int>(SharedTicketKeys::kKeysMax));
}

// ---- Two servers with a clock each.

std::int64_t g_first_s = 0;
std::int64_t g_second_s = 0;

class SharedTicketsTest : public testing::TestWithParam<Version> {
 protected:
  SharedTicketsTest() {
    g_first_s = g_second_s = present_ * kPeriodS + 10;
    first_ = Server(first_keys_, [] { return g_first_s * 1000; });
    second_ = Server(second_keys_, [] { return g_second_s * 1000; });
  }
  static std::shared_ptr<Endpoint> Server(const std::shared_ptr<SharedTicketKeys>& keys,
                                          std::int64_t (*clock_ms)()) {
    EndpointOptions options;
    options.versions = Only(GetParam());
    options.ticket_keys = keys;
    options.clock_ms = clock_ms;
    options.session_lifespan_ms = EndpointOptions::kLifespanMsMax;
    return MakeServer(options);
  }
  // A client's next connection.
  bool Resumes(const std::shared_ptr<Endpoint>& server) {
    HandshakeOptions target;
    target.target_name = kName;
    OurSide client(client_, target);
    OurSide other(server);
    EXPECT_TRUE(RunHandshake(client, other));
    if (!client.established() || !other.established()) return false;
    other.Write("x");
    Move(other, client);
    EXPECT_EQ(client.Read(), "x");
    tickets_seen_ = client.tickets_seen;
    return other.connection->facts.resumed;
  }
  void TakeBoth(Generation generation) {
    const TicketKey key = KeyNamed(static_cast<std::uint8_t>(generation % 100 + 1));
    first_keys_->Take(generation, key);
    second_keys_->Take(generation, key);
  }

  const Generation present_ = std::int64_t{time(nullptr)} / kPeriodS;
  const std::shared_ptr<SharedTicketKeys> first_keys_ = SharedTicketKeys::Create(kPeriodS);
  const std::shared_ptr<SharedTicketKeys> second_keys_ = SharedTicketKeys::Create(kPeriodS);
  const std::shared_ptr<Endpoint> client_ = MakeClient();
  std::shared_ptr<Endpoint> first_;
  std::shared_ptr<Endpoint> second_;
  unsigned tickets_seen_ = 0;
};

INSTANTIATE_TEST_SUITE_P(Versions, SharedTicketsTest,
                         testing::Values(Version::kTls12, Version::kTls13), [](const auto& test) {
                           return test.param == Version::kTls12 ? "Tls12" : "Tls13";
                         });

TEST_P(SharedTicketsTest, OpenAtTheOtherServer) {
  TakeBoth(present_);
  EXPECT_FALSE(Resumes(first_));
  EXPECT_TRUE(Resumes(second_));
  EXPECT_TRUE(Resumes(first_));
}

TEST_P(SharedTicketsTest, OpenAtAServerThatHasNotRotatedYetAndAtOneThatHas) {
  for (const Generation generation : {present_, present_ + 1}) TakeBoth(generation);
  EXPECT_FALSE(Resumes(first_));
  g_first_s += kPeriodS;  // the second server's clock is behind
  EXPECT_TRUE(Resumes(first_)) << "under the key before";
  EXPECT_TRUE(Resumes(second_)) << "under the key that this one still calls the next";
  EXPECT_TRUE(Resumes(first_));
}

TEST_P(SharedTicketsTest, OfTwoGenerationsAgoCostAFullHandshake) {
  for (const Generation generation : {present_, present_ + 1, present_ + 2}) TakeBoth(generation);
  EXPECT_FALSE(Resumes(first_));
  g_second_s += 2 * kPeriodS;
  EXPECT_FALSE(Resumes(second_));
  EXPECT_TRUE(Resumes(second_)) << "it has got a ticket of its own";
}

TEST_P(SharedTicketsTest, WithoutAKeyHandshakesAreFullAndNoTicketIsSent) {
  for (int i = 0; i < 2; ++i) {
    EXPECT_FALSE(Resumes(first_));
    EXPECT_EQ(tickets_seen_, 0U);
  }
  EXPECT_EQ(first_keys_->without_key(), 2U) << "one for each handshake";
  TakeBoth(present_);
  EXPECT_FALSE(Resumes(first_)) << "there was no ticket";
  EXPECT_TRUE(Resumes(second_));
}

TEST_P(SharedTicketsTest, WithoutANewKeyTheOldOneOpensAndNoTicketIsSent) {
  TakeBoth(present_);
  EXPECT_FALSE(Resumes(first_));
  g_first_s += kPeriodS;
  EXPECT_TRUE(Resumes(first_));
  EXPECT_EQ(tickets_seen_, 0U);
  g_first_s += kPeriodS;
  EXPECT_FALSE(Resumes(first_));
  EXPECT_FALSE(Resumes(first_));
}

// A caller that allows resumption in the middle of the handshake gets no ticket either.
TEST_P(SharedTicketsTest, AllowingResumptionMakesNoTicketWithoutAKey) {
  OurSide client(client_);
  OurSide server(first_);
  client.Advance();
  Move(client, server);
  server.Advance();
  server.handshake->AllowResumption(true);
  EXPECT_TRUE(RunHandshake(client, server));
  server.Write("x");
  Move(server, client);
  EXPECT_EQ(client.Read(), "x");
  EXPECT_EQ(client.tickets_seen, 0U);
}

}  // namespace
}  // namespace ktlsim::tls::test
