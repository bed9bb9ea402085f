// Policies in words: rights, SIDs, entries, warnings, and the place of a mistake.
#include "kernel_sim/command/policy_words.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernel_sim/security/well_known_sids.h"

namespace ktlsim::command {
namespace {

security::Descriptor PolicyOf(const std::string& text) {
  std::optional<security::Descriptor> descriptor;
  EXPECT_EQ(security::ParseSddl(text, std::nullopt, &descriptor).fault, security::Fault::kNone);
  return std::move(descriptor).value();
}

std::string Warnings(const std::string& text) {
  std::string all;
  for (const std::string& one : PolicyWarnings(PolicyOf(text).view(), ObjectKind::kFile)) {
    all += one + "\n";
  }
  return all;
}

std::string FirstEntry(const std::string& text, ObjectKind kind = ObjectKind::kFile) {
  const security::Descriptor descriptor = PolicyOf(text);
  const auto& list = descriptor.view().dacl ? descriptor.view().dacl : descriptor.view().sacl;
  return AceInWords(*list.value().begin(), kind);
}

TEST(PolicyWordsTest, RightsHaveTheNamesOfTheirKind) {
  EXPECT_EQ(RightName(ObjectKind::kFile, 0x1), "FILE_READ_DATA");
  EXPECT_EQ(RightName(ObjectKind::kFolder, 0x1), "FILE_LIST_DIRECTORY");
  EXPECT_EQ(RightName(ObjectKind::kKey, 0x1), "KEY_QUERY_VALUE");
  EXPECT_EQ(RightName(ObjectKind::kDirectory, 0x1), "CREATE_CHILD");
  EXPECT_EQ(RightName(ObjectKind::kFile, 0x400), "0x400");
  EXPECT_EQ(RightName(ObjectKind::kKey, security::kWriteDac), "WRITE_DAC");
}

TEST(PolicyWordsTest, MasksAreTheirWholeNamesAndTheRest) {
  EXPECT_EQ(RightsText(ObjectKind::kFile, 0), "no right");
  EXPECT_EQ(RightsText(ObjectKind::kFile, 0x1F01FF), "FILE_ALL_ACCESS (0x1f01ff)");
  EXPECT_EQ(RightsText(ObjectKind::kFile, 0x130089), "FILE_GENERIC_READ, DELETE (0x130089)");
  EXPECT_EQ(RightsText(ObjectKind::kFile, 0x20000), "READ_CONTROL (0x20000)");
  EXPECT_EQ(RightsText(ObjectKind::kFile, 0x120089 | 0x120116),
            "FILE_GENERIC_READ, FILE_GENERIC_WRITE (0x12019f)");
  EXPECT_EQ(RightsText(ObjectKind::kKey, 0x20019), "KEY_READ (0x20019)");
}

TEST(PolicyWordsTest, RightsAreReadInEveryForm) {
  security::AccessMask mask = 0;
  EXPECT_EQ(ParseRights("FILE_READ_DATA,read_control,0x2,FX", ObjectKind::kFile, &mask), "");
  EXPECT_EQ(mask, 0x1U | 0x20000U | 0x2U | 0x1200A0U);
  EXPECT_EQ(ParseRights("GENERIC_READ", ObjectKind::kFile, &mask), "");
  EXPECT_EQ(mask, 0x120089U);
  EXPECT_EQ(ParseRights("GR", ObjectKind::kKey, &mask), "");
  EXPECT_EQ(mask, 0x20019U);
  EXPECT_EQ(ParseRights("MAXIMUM_ALLOWED", ObjectKind::kFile, &mask), "");
  EXPECT_EQ(mask, security::kMaximumAllowed);
  for (const char* bad : {"", "XX", "FR,", ",FR", "KEY_READ", "0x", "1;2", "FR)(A;;GA;;;WD"}) {
    EXPECT_THAT(ParseRights(bad, ObjectKind::kFile, &mask), testing::HasSubstr("is no right"))
        << bad;
  }
  EXPECT_EQ(mask, security::kMaximumAllowed) << "unchanged";
}

TEST(PolicyWordsTest, SidsAreReadAndNamed) {
  security::Sid sid;
  EXPECT_EQ(ParseSidArgument("BA", std::nullopt, &sid), "");
  EXPECT_EQ(SidInWords(sid), "S-1-5-32-544 (Administrators)");
  EXPECT_EQ(ParseSidArgument("S-1-5-21-1-2-3-1001", std::nullopt, &sid), "");
  EXPECT_EQ(SidInWords(sid), "S-1-5-21-1-2-3-1001");
  EXPECT_EQ(ParseSidArgument("DA", security::Sid(5, {21, 1, 2, 3}), &sid), "");
  EXPECT_EQ(SidInWords(sid), "S-1-5-21-1-2-3-512");
  EXPECT_THAT(ParseSidArgument("DA", std::nullopt, &sid), testing::HasSubstr("--domain"));
  for (const char* bad : {"", "S-1", "alice", "BAG:BA", "BA D:", "S-1-1-0 "}) {
    const std::string wrong = ParseSidArgument(bad, std::nullopt, &sid);
    EXPECT_EQ(wrong.empty(), std::string_view(bad) == "S-1-1-0 ") << bad;
  }
}

TEST(PolicyWordsTest, EntriesAreSentences) {
  EXPECT_EQ(FirstEntry("D:(A;;FR;;;WD)"),
            "allows S-1-1-0 (Everyone): FILE_GENERIC_READ (0x120089)");
  EXPECT_EQ(FirstEntry("D:(D;OICIID;0x1;;;BU)", ObjectKind::kFolder),
            "denies S-1-5-32-545 (Users): FILE_LIST_DIRECTORY (0x1); inherited from above, passed "
            "on to all that is in it");
  EXPECT_EQ(FirstEntry("D:(A;OIIONP;0x1;;;BU)"),
            "allows S-1-5-32-545 (Users): FILE_READ_DATA (0x1); passed on to objects in it, one "
            "level deep only, not for the object itself");
  EXPECT_EQ(
      FirstEntry("D:(OA;;RP;bf967aba-0de6-11d0-a285-00aa003049e2;;WD)", ObjectKind::kDirectory),
      "allows S-1-1-0 (Everyone): READ_PROPERTY (0x10); only for the type "
      "bf967aba-0de6-11d0-a285-00aa003049e2");
  EXPECT_EQ(FirstEntry("S:(AU;SAFA;0x1;;;WD)"),
            "records every access of S-1-1-0 (Everyone): FILE_READ_DATA (0x1)");
  EXPECT_EQ(FirstEntry("S:(AU;FA;0x1;;;WD)"),
            "records accesses that were denied to S-1-1-0 (Everyone): FILE_READ_DATA (0x1)");
  EXPECT_EQ(FirstEntry("S:(ML;;NWNR;;;HI)"),
            "label S-1-16-12288 (High integrity): subjects of lower integrity may not write, read");
}

TEST(PolicyWordsTest, WarnsOfWhatMayNotBeMeant) {
  EXPECT_EQ(Warnings("O:BAG:BAD:(D;;FW;;;BU)(A;;FR;;;WD)"), "");
  EXPECT_THAT(Warnings("D:(A;;FR;;;WD)"), testing::HasSubstr("no owner"));
  EXPECT_THAT(Warnings("O:BAD:(A;;FR;;;WD)"), testing::HasSubstr("no group"));
  EXPECT_THAT(Warnings("O:BAG:BA"), testing::HasSubstr("no DACL: everybody"));
  EXPECT_THAT(Warnings("O:BAG:BAD:NO_ACCESS_CONTROL"), testing::HasSubstr("DACL is NULL"));
  EXPECT_THAT(Warnings("O:BAG:BAD:"), testing::HasSubstr("DACL is empty"));
  EXPECT_THAT(Warnings("O:BAG:BAD:(A;;FR;;;WD)(D;;0x1;;;BU)"),
              testing::HasSubstr("entry 2 denies what entry 1 has allowed"));
  EXPECT_EQ(Warnings("O:BAG:BAD:(A;;0x2;;;WD)(D;;0x1;;;BU)"), "") << "other rights";
  EXPECT_THAT(Warnings("O:BAG:BAD:(A;;FR;;;WD)(A;;0x1;;;WD)"),
              testing::HasSubstr("entry 2 changes nothing"));
  EXPECT_THAT(Warnings("O:BAG:BAD:(A;ID;FR;;;WD)(A;;FW;;;BU)"),
              testing::HasSubstr("entry 2 is the object's own and stands behind an inherited"));
  EXPECT_THAT(Warnings("O:BAG:BAD:(A;OIIO;FR;;;WD)"),
              testing::HasSubstr("entry 1 is inherit-only: it does not count"));
  EXPECT_THAT(Warnings("O:BAG:BAD:(A;IO;FR;;;WD)"), testing::HasSubstr("it has no effect"));
  EXPECT_THAT(Warnings("O:BAG:BAD:(A;NP;FR;;;WD)"), testing::HasSubstr("has NP"));
  EXPECT_THAT(Warnings("O:BAG:BAD:(A;;;;;WD)"), testing::HasSubstr("names no right"));
  EXPECT_THAT(Warnings("O:BAG:BAD:(A;;FR;;;WD)S:(AU;;FR;;;WD)"),
              testing::HasSubstr("neither SA nor FA"));
}

TEST(PolicyWordsTest, ACaretShowsTheByte) {
  EXPECT_EQ(PointAt("O:XX", 2), "  O:XX\n    ^");
  EXPECT_EQ(PointAt("", 0), "  \n  ^");
  EXPECT_EQ(PointAt("O:BA\nG:XX\nD:", 7), "  G:XX\n    ^");
  EXPECT_EQ(PointAt("O:BA", 99), "  O:BA\n      ^");
  EXPECT_EQ(PointAt("\x1b[31m", 1), "  ?[31m\n   ^");
  const std::string pointed = PointAt(std::string(500, 'a') + "!" + std::string(500, 'b'), 500);
  EXPECT_EQ(pointed, "  " + std::string(60, 'a') + "!" + std::string(59, 'b') + "\n" +
                         std::string(62, ' ') + "^");
}

}  // namespace
}  // namespace ktlsim::command
