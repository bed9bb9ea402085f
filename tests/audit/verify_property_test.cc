// Whatever is done to a log that was closed, it is found: bytes changed, added and taken away,
// lines moved, copied and replaced, 20,000 times.
#include <random>

#include <gtest/gtest.h>

#include "tests/audit/audit_test_support.h"
#include "tests/support/seeds.h"

namespace ktlsim::audit {
namespace {

using Random = std::mt19937_64;

std::size_t Below(Random& random, std::size_t bound) { return random() % bound; }

void ChangeByte(Random& random, std::string* text) {
  char& byte = (*text)[Below(random, text->size())];
  byte = static_cast<char>(static_cast<unsigned char>(byte) ^ (1 + Below(random, 255)));
}

std::string ChangeBytes(Random& random, std::string text) {
  const std::size_t at = Below(random, text.size());
  switch (random() % 5) {
    case 0:
      ChangeByte(random, &text);
      break;
    case 1:
      text.insert(at, 1 + Below(random, 3), static_cast<char>(random()));
      break;
    case 2:
      text.erase(at, 1 + Below(random, 40));
      break;
    case 3:
      text.resize(at);
      break;
    default:
      text.append(1 + Below(random, 40), static_cast<char>(random()));
  }
  return text;
}

std::string ChangeLines(Random& random, const std::string& text, const std::string& other) {
  std::vector<std::string> lines = test::LinesOf(text);
  const std::size_t a = Below(random, lines.size());
  const std::size_t b = Below(random, lines.size());
  const std::vector<std::string> others = test::LinesOf(other);
  const auto at = lines.begin() + static_cast<std::ptrdiff_t>(a);
  switch (random() % 6) {
    case 0:
      lines.erase(at);
      break;
    case 1:
      std::swap(lines[a], lines[b]);
      break;
    case 2:
      lines.insert(at, std::string(lines[b]));
      break;
    case 3:
      lines[a] = others[Below(random, others.size())];
      break;
    case 4:
      lines.insert(at, others[Below(random, others.size())]);
      break;
    default:
      lines.resize(a);
  }
  return test::Joined(lines);
}

void CheckSeeds(std::uint64_t part) {
  const test::Made made = test::MakeTrail(12);
  const test::Made other = test::MakeTrail(12);
  ASSERT_TRUE(test::VerifyText(made.log, made.head).ok());
  const ktlsim::test::Seeds seeds = ktlsim::test::SeedsToRun(20000, part, 4);
  for (std::uint64_t seed = seeds.first; seed <= seeds.last; ++seed) {
    Random random(seed);
    const std::string changed = random() % 2 == 0 ? ChangeBytes(random, made.log)
                                                  : ChangeLines(random, made.log, other.log);
    const VerifyReport report = test::VerifyText(changed, made.head);
    ASSERT_EQ(report.ok(), changed == made.log) << "KTLSIM_SEED=" << seed;
    if (seeds.one) std::printf("%s\n", test::TextOf(report).c_str());
  }
}

TEST(VerifyPropertyTest, EveryChangeIsFoundPart0) { CheckSeeds(0); }
TEST(VerifyPropertyTest, EveryChangeIsFoundPart1) { CheckSeeds(1); }
TEST(VerifyPropertyTest, EveryChangeIsFoundPart2) { CheckSeeds(2); }
TEST(VerifyPropertyTest, EveryChangeIsFoundPart3) { CheckSeeds(3); }

// Each byte of a log and of its head, one after the other.
TEST(VerifyPropertyTest, NoByteCanBeChanged) {
  const test::Made made = test::MakeTrail(3);
  for (std::size_t i = 0; i < made.log.size(); ++i) {
    std::string changed = made.log;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    ASSERT_FALSE(test::VerifyText(changed, made.head).ok()) << "log, byte " << i;
  }
  for (std::size_t i = 0; i < made.head.size(); ++i) {
    std::string changed = made.head;
    changed[i] = static_cast<char>(changed[i] ^ 0x20);
    ASSERT_FALSE(test::VerifyText(made.log, changed).ok()) << "head, byte " << i;
  }
}

// Of an open log whose head covers all of it, no line of it can be cut or changed either.
TEST(VerifyPropertyTest, AnOpenTrailIsProtectedAsFarAsItsHeadSays) {
  test::TrailScene scene;
  const std::unique_ptr<AuditTrail> trail = scene.Open();
  test::WriteObjects(*trail, 0, 4);
  const std::string log = test::ContentOf(scene.log());
  const std::string head = test::ContentOf(scene.head());
  ASSERT_TRUE(test::VerifyText(log, head).ok());
  for (std::size_t i = 0; i < log.size(); ++i) {
    ASSERT_FALSE(test::VerifyText(log.substr(0, i), head).ok()) << "cut at " << i;
    std::string changed = log;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    ASSERT_FALSE(test::VerifyText(changed, head).ok()) << "byte " << i;
  }
}

}  // namespace
}  // namespace ktlsim::audit
