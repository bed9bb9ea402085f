// The access check and the bytes of descriptors against Samba, which has an evaluator and a parser
// of its own: with descriptors that both can express. Samba knows no labels, restricting SIDs,
// attributes of groups and object types there, and takes an absent DACL for an empty one.
#include <chrono>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/security/random_access.h"
#include "tests/security/security_test_support.h"
#include "tests/support/paths.h"
#include "tests/support/seeds.h"
#include "tests/system/child_process.h"

namespace ktlsim::security::test {
namespace {

constexpr int kModulesAreMissing = 77;
constexpr std::uint32_t kSystemSecurity = 0x01000000;
constexpr std::uint32_t kMaximum = 0x02000000;

std::string Hex(std::span<const std::byte> bytes) {
  std::string text;
  for (const std::byte byte : bytes) {
    text += "0123456789abcdef"[static_cast<unsigned>(byte) >> 4];
    text += "0123456789abcdef"[static_cast<unsigned>(byte) & 0xF];
  }
  return text;
}

PlainCase CaseForSamba(std::uint64_t seed) {
  PlainCase what = RandomCase(seed, {.special = false});
  what.security_privilege = seed % 3 == 0;
  what.take_ownership_privilege = seed % 5 == 0;
  if (seed % 7 == 0) what.desired |= 0x01000000;
  // Of a NULL DACL it grants system security, too, and no maximum.
  if (!what.dacl && (what.desired & (kSystemSecurity | kMaximum)) != 0) what.dacl.emplace();
  return what;
}

std::string LineOf(const PlainCase& what, const BuiltCase& built) {
  DescriptorView view = built.descriptor();
  view.control |= kDaclPresent;  // without a list: a NULL DACL
  const Descriptor descriptor = Descriptor::Create(view).value();
  std::ostringstream line;
  line << Hex(descriptor.image()) << "\t" << std::hex << what.desired << "\t"
       << (what.security_privilege ? "8," : "") << (what.take_ownership_privilege ? "9" : "")
       << "\t";
  const char* separator = "";
  for (const Sid& sid : built.token().sids()) {
    line << separator << SidText(sid).view();
    separator = ",";
  }
  line << "\n";
  return line.str();
}

// Samba reports a maximum of nothing as granted.
std::string ExpectedOf(const PlainCase& what, const PlainResult& result) {
  std::ostringstream text;
  if (result.allowed) {
    text << std::hex << result.granted;
  } else {
    text << (what.desired == kMaximum ? "0" : "denied");
  }
  return text.str();
}

TEST(SambaAccessTest, DecidesAlikeAndReadsTheSameDescriptor) {
  const ktlsim::test::Seeds seeds = ktlsim::test::SeedsToRun(3000);
  std::string input;
  std::vector<std::string> expected;
  std::vector<Descriptor> descriptors;
  for (std::uint64_t seed = seeds.first; seed <= seeds.last; ++seed) {
    const PlainCase what = CaseForSamba(seed);
    BuiltCase built(what);
    input += LineOf(what, built);
    expected.push_back(ExpectedOf(what, built.Check()[0]));
    descriptors.push_back(Descriptor::Create(built.descriptor()).value());
  }
  const auto samba = system_tests::RunProgram(
      {"/usr/bin/python3", ktlsim::test::SourceRoot() + "/tests/security/samba_access_check.py"},
      input, std::chrono::hours(1));  // CTest has the limit
  if (samba.code == kModulesAreMissing || samba.code == 127) {
    GTEST_SKIP() << "Samba's Python modules are missing (package python3-samba): " << samba.output;
  }
  ASSERT_EQ(samba.code, 0) << samba.output;
  std::istringstream lines(samba.output);
  std::string line;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    ASSERT_TRUE(std::getline(lines, line));
    const std::string hint = "KTLSIM_SEED=" + std::to_string(seeds.first + i) + "\n" + line + "\n" +
                             Describe(CaseForSamba(seeds.first + i));
    const std::size_t tab = line.find('\t');
    EXPECT_EQ(line.substr(0, tab), expected[i]) << hint;
    if (!descriptors[i].view().dacl) continue;  // it has no text for a NULL DACL
    // Its text says the same in our reading, save for room that no ACE uses.
    std::optional<Descriptor> read;
    EXPECT_EQ(ParseSddl(line.substr(tab + 1), std::nullopt, &read).fault, Fault::kNone) << hint;
    EXPECT_EQ(TextOf(read->view()), TextOf(descriptors[i].view())) << hint;
    if (testing::Test::HasFailure()) return;
  }
}

}  // namespace
}  // namespace ktlsim::security::test
