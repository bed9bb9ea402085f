// What holds for every descriptor and every text, tried with random ones. KTLSIM_SEED=<n> runs one
// seed alone, KTLSIM_SEEDS=<n> runs so many.
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/security/security_test_support.h"
#include "tests/support/seeds.h"

namespace ktlsim::security {
namespace {

using Random = std::mt19937_64;

std::size_t Below(Random* random, std::size_t bound) { return (*random)() % bound; }

template <typename List>
auto OneOf(Random* random, const List& list) {
  return list[Below(random, std::size(list))];
}

std::string RandomSid(Random* random) {
  static const std::string_view names[] = {"BA", "SY", "WD", "DA", "OW", "PS", "HI", "DC", "SA"};
  if (Below(random, 2) == 0) return std::string(OneOf(random, names));
  std::string sid = Below(random, 8) == 0 ? "S-1-0xfedcba987654" : "S-1-5";
  for (std::size_t i = 0, count = Below(random, 8); i < count; ++i) {
    sid += "-" + std::to_string(static_cast<std::uint32_t>((*random)()));
  }
  return sid;
}

std::string RandomGuid(Random* random) {
  Guid guid;
  guid.data1 = static_cast<std::uint32_t>((*random)());
  guid.data4[7] = static_cast<std::uint8_t>((*random)());
  return Below(random, 2) == 0 ? "" : std::string(GuidText(guid).view());
}

std::string RandomRights(Random* random, bool label) {
  static const std::string_view words[] = {"CC", "DC", "GA", "GR", "FA", "FR", "KA",
                                           "KW", "SD", "WO", "CR", "LO", "WD"};
  static const std::string_view label_words[] = {"NW", "NR", "NX"};
  if (Below(random, 4) == 0) return std::to_string(static_cast<std::uint32_t>((*random)()));
  std::string rights;
  for (std::size_t i = 0, count = Below(random, 5); i < count; ++i) {
    rights += label ? OneOf(random, label_words) : OneOf(random, words);
  }
  return rights;
}

std::string RandomAce(Random* random, bool sacl) {
  static const std::string_view in_dacl[] = {"A", "D", "OA", "OD"};
  static const std::string_view in_sacl[] = {"AU", "OU", "ML"};
  static const std::string_view flags[] = {"", "CI", "OICI", "ID", "IONPID"};
  const std::string_view type = sacl ? OneOf(random, in_sacl) : OneOf(random, in_dacl);
  const bool object = type.size() == 2 && type[0] == 'O';
  std::string ace = "(" + std::string(type) + ";" + std::string(OneOf(random, flags)) + ";" +
                    RandomRights(random, type == "ML") + ";";
  ace += (object ? RandomGuid(random) : "") + ";";
  ace += (object ? RandomGuid(random) : "") + ";";
  return ace + RandomSid(random) + ")";
}

std::string RandomList(Random* random, bool sacl) {
  static const std::string_view flags[] = {"", "P", "AI", "PAI", "ARAI", "NO_ACCESS_CONTROL"};
  std::string list = sacl ? "S:" : "D:";
  const std::string_view flag = OneOf(random, flags);
  list += flag;
  if (flag.size() > 4) return list;
  for (std::size_t i = 0, count = Below(random, 6); i < count; ++i) {
    list += RandomAce(random, sacl);
  }
  return list;
}

std::string RandomText(Random* random) {
  std::string text;
  if (Below(random, 4) != 0) text += "O:" + RandomSid(random);
  if (Below(random, 4) != 0) text += "G:" + RandomSid(random);
  if (Below(random, 8) != 0) text += RandomList(random, false);
  if (Below(random, 2) != 0) text += RandomList(random, true);
  return text;
}

// Text, bytes, text, bytes: the bytes are the same, and so is the text from its first writing on.
TEST(SddlPropertyTest, WhatIsWrittenIsReadBack) {
  const ktlsim::test::Seeds seeds = ktlsim::test::SeedsToRun(2000);
  for (std::uint64_t seed = seeds.first; seed <= seeds.last; ++seed) {
    Random random(seed);
    const std::string text = RandomText(&random);
    const Descriptor first = test::DescriptorOf(text);
    const std::string written = test::TextOf(first.view());
    const Descriptor second = test::DescriptorOf(written);
    ASSERT_EQ(test::CopyOf(first.image()), test::CopyOf(second.image()))
        << "KTLSIM_SEED=" << seed << "\n"
        << text << "\n"
        << written;
    ASSERT_EQ(test::TextOf(second.view()), written) << "KTLSIM_SEED=" << seed;
  }
}

// A text with one byte changed, or cut, is read as a whole or refused at a place inside it.
TEST(SddlPropertyTest, SpoiledTextsAreReadOrRefused) {
  static constexpr std::string_view kBytes(";:()DSOGAP-01xX \0\x80", 18);
  const ktlsim::test::Seeds seeds = ktlsim::test::SeedsToRun(4000);
  std::size_t refused = 0;
  for (std::uint64_t seed = seeds.first; seed <= seeds.last; ++seed) {
    Random random(seed);
    std::string text = RandomText(&random) + "D";
    const std::size_t at = Below(&random, text.size());
    if (Below(&random, 4) == 0) {
      text.resize(at);
    } else {
      text[at] = OneOf(&random, kBytes);
    }
    std::optional<Descriptor> descriptor;
    const SddlError error = ParseSddl(text, test::Domain(), &descriptor);
    ASSERT_LE(error.position, text.size()) << "KTLSIM_SEED=" << seed;
    if (error.fault != Fault::kNone) {
      ++refused;
      continue;
    }
    const std::string written = test::TextOf(descriptor->view());
    ASSERT_EQ(test::CopyOf(test::DescriptorOf(written).image()), test::CopyOf(descriptor->image()))
        << "KTLSIM_SEED=" << seed << "\n"
        << text;
  }
  if (!seeds.one) {
    EXPECT_GT(refused, 0U);
  }
}

}  // namespace
}  // namespace ktlsim::security
