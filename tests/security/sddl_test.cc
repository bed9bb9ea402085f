#include "kernel_sim/security/sddl.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/security/security_test_support.h"

namespace ktlsim::security {
namespace {

using test::DescriptorOf;
using test::Domain;
using test::TextOf;

std::string WithAce(std::string_view ace) { return "D:(" + std::string(ace) + ")"; }

SddlError ErrorOf(std::string_view text) {
  std::optional<Descriptor> descriptor;
  const SddlError error = ParseSddl(text, Domain(), &descriptor);
  EXPECT_EQ(descriptor.has_value(), error.fault == Fault::kNone);
  return error;
}

// The first ACE of a text's DACL.
struct FirstAce {
  explicit FirstAce(std::string_view text) : descriptor(DescriptorOf(text)) {}
  AceView view() const { return *descriptor.view().dacl->begin(); }
  Descriptor descriptor;
};

AccessMask MaskOf(std::string_view rights) {
  return FirstAce(WithAce("A;;" + std::string(rights) + ";;;WD")).view().mask();
}

// The examples of Microsoft's pages "Security Descriptor String Format" and "ACE Strings": masks,
// flags and sizes are theirs.
TEST(SddlTest, PublishedExamples) {
  const FirstAce all("O:AOG:DAD:(A;;RPWPCCDCLCSWRCWDWOGA;;;S-1-0-0)");
  EXPECT_EQ(all.view().mask(), 0x100e003fU);
  EXPECT_EQ(all.view().bytes(), 0x14U);
  EXPECT_EQ(test::TextOf(*all.descriptor.view().owner), "S-1-5-32-548");
  EXPECT_EQ(test::TextOf(*all.descriptor.view().group), "S-1-5-21-1-2-3-512");

  const Descriptor many = DescriptorOf(
      "O:DAG:DAD:(A;;RPWPCCDCLCRCWOWDSDSW;;;SY)(A;;RPWPCCDCLCRCWOWDSDSW;;;DA)"
      "(OA;;CCDC;bf967aba-0de6-11d0-a285-00aa003049e2;;AO)"
      "(OA;;CCDC;bf967a9c-0de6-11d0-a285-00aa003049e2;;AO)"
      "(OA;;CCDC;6da8a4ff-0e52-11d0-a286-00aa003049e2;;AO)"
      "(OA;;CCDC;bf967aa8-0de6-11d0-a285-00aa003049e2;;PO)(A;;RPLCRC;;;AU)"
      "S:(AU;SAFA;WDWOSDWPCCDCSW;;;WD)");
  struct Row {
    AceType type;
    std::size_t bytes;
    AccessMask mask;
  };
  const Row rows[] = {
      {AceType::kAllowed, 0x14, 0xf003f},   {AceType::kAllowed, 0x24, 0xf003f},
      {AceType::kAllowedObject, 0x2c, 0x3}, {AceType::kAllowedObject, 0x2c, 0x3},
      {AceType::kAllowedObject, 0x2c, 0x3}, {AceType::kAllowedObject, 0x2c, 0x3},
      {AceType::kAllowed, 0x14, 0x20014},
  };
  const Row* row = rows;
  ASSERT_EQ(many.view().dacl->count(), std::size(rows));
  for (const AceView ace : *many.view().dacl) {
    EXPECT_EQ(ace.type(), row->type);
    EXPECT_EQ(ace.bytes(), row->bytes);
    EXPECT_EQ(ace.mask(), row->mask);
    ++row;
  }
  EXPECT_EQ(many.view().dacl->revision(), 4);
  EXPECT_EQ(many.view().sacl->revision(), 2);
  const AceView audit = *many.view().sacl->begin();
  EXPECT_EQ(audit.type(), AceType::kAudit);
  EXPECT_EQ(audit.flags(), kAuditFlags);
  EXPECT_EQ(audit.bytes(), 0x14U);
  EXPECT_EQ(audit.mask(), 0xd002bU);
}

TEST(SddlTest, NullEmptyAndAbsentLists) {
  EXPECT_FALSE(DescriptorOf("").view().dacl_present());
  EXPECT_EQ(TextOf(DescriptorOf("").view()), "");
  EXPECT_EQ(DescriptorOf("D:").view().dacl->count(), 0U);
  EXPECT_EQ(TextOf(DescriptorOf("D:").view()), "D:");
  EXPECT_TRUE(DescriptorOf("D:NO_ACCESS_CONTROL").view().dacl_present());
  EXPECT_EQ(TextOf(DescriptorOf("d:no_access_controlS:NO_ACCESS_CONTROL").view()),
            "D:NO_ACCESS_CONTROLS:NO_ACCESS_CONTROL");
  EXPECT_EQ(TextOf(DescriptorOf("D:PNO_ACCESS_CONTROL").view()), "D:PNO_ACCESS_CONTROL");
  EXPECT_EQ(ErrorOf("D:NO_ACCESS_CONTROL(A;;GA;;;WD)").fault, Fault::kInvalidAcl);
}

TEST(SddlTest, FlagsOfLists) {
  const Descriptor descriptor = DescriptorOf("D:PARAIS:AIARP");
  EXPECT_EQ(descriptor.view().control,
            kSelfRelative | kDaclPresent | kSaclPresent | kDaclProtected | kDaclAutoInheritReq |
                kDaclAutoInherited | kSaclProtected | kSaclAutoInheritReq | kSaclAutoInherited);
  EXPECT_EQ(TextOf(descriptor.view()), "D:PARAIS:PARAI");
  EXPECT_EQ(DescriptorOf("D:AI").view().control, kSelfRelative | kDaclPresent | kDaclAutoInherited);
}

// The letter in front of the next colon belongs to the next component.
TEST(SddlTest, ComponentsInAnyOrderAndCase) {
  EXPECT_EQ(TextOf(DescriptorOf("O:DAG:DAD:(A;;GA;;;DA)").view()), "O:DAG:DAD:(A;;GA;;;DA)");
  EXPECT_EQ(TextOf(DescriptorOf("s:D:g:s-1-5-18O:ba").view()), "O:BAG:SYD:S:");
  EXPECT_EQ(
      TextOf(DescriptorOf(" D: P ( a ; oici ; gr\t; ; ; wd )\n( D;;0x10;;;BA ) O: SY ").view()),
      "O:SYD:P(A;OICI;GR;;;WD)(D;;RP;;;BA)");
  EXPECT_EQ(TextOf(DescriptorOf("O:S-1-5-21-1-2-3-1000D:").view()), "O:S-1-5-21-1-2-3-1000D:");
}

TEST(SddlTest, WhatIsWrittenOfAMask) {
  struct Row {
    AccessMask mask;
    std::string_view text;
  };
  const Row rows[] = {
      {0, ""},
      {0x1F01FF, "FA"},
      {0x120089, "FR"},
      {0x120116, "FW"},
      {0x1200A0, "FX"},
      {0xF003F, "KA"},
      {0x20019, "KR"},
      {0x20006, "KW"},
      {0xF0000000, "GAGXGWGR"},
      {0x3, "CCDC"},
      {0x2001F, "CCDCLCSWRPRC"},
      {0xF01FF, "CCDCLCSWRPWPDTLOCRSDRCWDWO"},
      {0xFFFFFFFF, "0xffffffff"},
      {0x12019f, "0x12019f"},
      {0x200, "0x200"},
  };
  for (const Row& row : rows) {
    const std::string text =
        TextOf(DescriptorOf(WithAce("A;;" + std::to_string(row.mask) + ";;;WD")).view());
    EXPECT_EQ(text, WithAce("A;;" + std::string(row.text) + ";;;WD")) << row.mask;
    EXPECT_EQ(MaskOf(row.text), row.mask);
  }
}

TEST(SddlTest, NumbersInThreeBases) {
  EXPECT_EQ(MaskOf("0x1200a9"), 0x1200a9U);
  EXPECT_EQ(MaskOf("0XFF"), 0xffU);
  EXPECT_EQ(MaskOf("255"), 255U);
  EXPECT_EQ(MaskOf("0377"), 255U);
  EXPECT_EQ(MaskOf("0"), 0U);
  for (const char* wrong : {"0x", "0x100000000", "4294967296", "08", "1f", "0x1g", "-1", "0x 1"}) {
    EXPECT_EQ(ErrorOf(WithAce("A;;" + std::string(wrong) + ";;;WD")).fault, Fault::kInvalidAcl)
        << wrong;
  }
}

// The same two letters by field.
TEST(SddlTest, LettersThatMeanDifferentThings) {
  const FirstAce ace("D:(A;;DCRCWD;;;DC)");
  EXPECT_EQ(ace.view().mask(), 0x2U | kReadControl | kWriteDac);
  EXPECT_EQ(test::TextOf(ace.view().sid()), "S-1-5-21-1-2-3-515");
  const Descriptor audit = DescriptorOf("S:(AU;SAFA;FA;;;AU)");
  const AceView read = *audit.view().sacl->begin();
  EXPECT_EQ(read.mask(), 0x1F01FFU);
  EXPECT_EQ(read.flags(), kAuditFlags);
  EXPECT_EQ(test::TextOf(read.sid()), "S-1-5-11");
}

TEST(SddlTest, FlagsOfAces) {
  EXPECT_EQ(FirstAce("D:(A;OICINPIOID;GA;;;WD)").view().flags(), 0x1F);
  EXPECT_EQ(TextOf(DescriptorOf("S:(AU;FASAIDIONPCIOI;GA;;;WD)").view()),
            "S:(AU;OICINPIOIDSAFA;GA;;;WD)");
}

TEST(SddlTest, Labels) {
  const std::string text = "S:(ML;;NWNRNX;;;HI)";
  EXPECT_EQ(TextOf(DescriptorOf(text).view()), text);
  EXPECT_EQ(TextOf(DescriptorOf("S:(ML;;0x10;;;S-1-16-5)").view()), "S:(ML;;0x10;;;S-1-16-5)");
  EXPECT_EQ(ErrorOf("S:(ML;;GR;;;HI)").fault, Fault::kInvalidAcl);
  EXPECT_EQ(ErrorOf("D:(A;;NW;;;HI)").fault, Fault::kInvalidAcl);
  const Descriptor both = DescriptorOf("S:P(AU;SA;GA;;;WD)(ML;;NW;;;LW)");
  EXPECT_EQ(TextOf(both.view(), kLabelInformation), "S:P(ML;;NW;;;LW)");
  EXPECT_EQ(TextOf(both.view(), kSaclInformation), "S:P(AU;SA;GA;;;WD)(ML;;NW;;;LW)");
  EXPECT_EQ(TextOf(DescriptorOf("S:(AU;SA;GA;;;WD)").view(), kLabelInformation), "");
}

TEST(SddlTest, ObjectAces) {
  constexpr std::string_view kBoth =
      "OA;CI;CC;bf967aba-0de6-11d0-a285-00aa003049e2;6da8a4ff-0e52-11d0-a286-00aa003049e2;WD";
  for (const std::string_view ace :
       {std::string_view("OA;;CC;bf967aba-0de6-11d0-a285-00aa003049e2;;WD"),
        std::string_view("OD;;CC;;bf967aba-0de6-11d0-a285-00aa003049e2;WD"), kBoth}) {
    const Descriptor descriptor = DescriptorOf(WithAce(ace));
    EXPECT_EQ(TextOf(descriptor.view()), WithAce(ace));
    EXPECT_EQ(descriptor.view().dacl->revision(), 4);
  }
  EXPECT_EQ(TextOf(DescriptorOf("D:(OA;;CC;;;WD)(OD;;CC;;;WD)S:(OU;SA;CC;;;WD)").view()),
            "D:(A;;CC;;;WD)(D;;CC;;;WD)S:(AU;SA;CC;;;WD)")
      << "without any GUID a plain ACE";
  EXPECT_EQ(DescriptorOf("D:(OA;;CC;;;WD)").view().dacl->revision(), 2);
}

TEST(SddlTest, PartsAreSelected) {
  const Descriptor descriptor = DescriptorOf("O:BAG:SYD:(A;;GA;;;WD)S:(AU;SA;GA;;;WD)");
  EXPECT_EQ(TextOf(descriptor.view(), 0), "");
  EXPECT_EQ(TextOf(descriptor.view(), kOwnerInformation), "O:BA");
  EXPECT_EQ(TextOf(descriptor.view(), kGroupInformation), "G:SY");
  EXPECT_EQ(TextOf(descriptor.view(), kDaclInformation), "D:(A;;GA;;;WD)");
  EXPECT_EQ(TextOf(descriptor.view(), kSaclInformation), "S:(AU;SA;GA;;;WD)");
  EXPECT_EQ(TextOf(DescriptorOf("O:BA").view(), 0xFFFFFFFF), "O:BA") << "what is absent is skipped";
}

TEST(SddlTest, NamesOfDomainsNeedOne) {
  std::optional<Descriptor> descriptor;
  EXPECT_EQ(ParseSddl("O:DA", std::nullopt, &descriptor).fault, Fault::kNoneMapped);
  EXPECT_EQ(ParseSddl("D:(A;;GA;;;EA)", std::nullopt, &descriptor).fault, Fault::kNoneMapped);
  EXPECT_EQ(
      ParseSddl("O:DA", Sid(5, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}), &descriptor)
          .fault,
      Fault::kNoneMapped);
  std::string text;
  EXPECT_EQ(FormatSddl(DescriptorOf("O:DA").view(), 1, std::nullopt, &text), Fault::kNone);
  EXPECT_EQ(text, "O:S-1-5-21-1-2-3-512");
}

// Every name of SSPI's contract, both ways.
TEST(SddlTest, NamesOfSids) {
  struct Row {
    std::string_view name;
    std::string_view sid;
  };
  const Row rows[] = {
      {"BA", "S-1-5-32-544"},
      {"BU", "S-1-5-32-545"},
      {"BG", "S-1-5-32-546"},
      {"PU", "S-1-5-32-547"},
      {"AO", "S-1-5-32-548"},
      {"SO", "S-1-5-32-549"},
      {"PO", "S-1-5-32-550"},
      {"BO", "S-1-5-32-551"},
      {"RE", "S-1-5-32-552"},
      {"RU", "S-1-5-32-554"},
      {"RD", "S-1-5-32-555"},
      {"NO", "S-1-5-32-556"},
      {"MU", "S-1-5-32-558"},
      {"LU", "S-1-5-32-559"},
      {"IS", "S-1-5-32-568"},
      {"CY", "S-1-5-32-569"},
      {"ER", "S-1-5-32-573"},
      {"CD", "S-1-5-32-574"},
      {"RA", "S-1-5-32-575"},
      {"ES", "S-1-5-32-576"},
      {"MS", "S-1-5-32-577"},
      {"HA", "S-1-5-32-578"},
      {"AA", "S-1-5-32-579"},
      {"RM", "S-1-5-32-580"},
      {"LA", "S-1-5-21-1-2-3-500"},
      {"LG", "S-1-5-21-1-2-3-501"},
      {"RO", "S-1-5-21-1-2-3-498"},
      {"DA", "S-1-5-21-1-2-3-512"},
      {"DU", "S-1-5-21-1-2-3-513"},
      {"DG", "S-1-5-21-1-2-3-514"},
      {"DC", "S-1-5-21-1-2-3-515"},
      {"DD", "S-1-5-21-1-2-3-516"},
      {"CA", "S-1-5-21-1-2-3-517"},
      {"SA", "S-1-5-21-1-2-3-518"},
      {"EA", "S-1-5-21-1-2-3-519"},
      {"PA", "S-1-5-21-1-2-3-520"},
      {"CN", "S-1-5-21-1-2-3-522"},
      {"AP", "S-1-5-21-1-2-3-525"},
      {"KA", "S-1-5-21-1-2-3-526"},
      {"EK", "S-1-5-21-1-2-3-527"},
      {"RS", "S-1-5-21-1-2-3-553"},
      {"WD", "S-1-1-0"},
      {"CO", "S-1-3-0"},
      {"CG", "S-1-3-1"},
      {"OW", "S-1-3-4"},
      {"NU", "S-1-5-2"},
      {"IU", "S-1-5-4"},
      {"SU", "S-1-5-6"},
      {"AN", "S-1-5-7"},
      {"ED", "S-1-5-9"},
      {"PS", "S-1-5-10"},
      {"AU", "S-1-5-11"},
      {"RC", "S-1-5-12"},
      {"SY", "S-1-5-18"},
      {"LS", "S-1-5-19"},
      {"NS", "S-1-5-20"},
      {"WR", "S-1-5-33"},
      {"AS", "S-1-18-1"},
      {"SS", "S-1-18-2"},
      {"AC", "S-1-15-2-1"},
      {"UD", "S-1-5-84-0-0-0-0-0"},
      {"LW", "S-1-16-4096"},
      {"ME", "S-1-16-8192"},
      {"MP", "S-1-16-8448"},
      {"HI", "S-1-16-12288"},
      {"SI", "S-1-16-16384"},
  };
  for (const Row& row : rows) {
    const Descriptor descriptor = DescriptorOf("O:" + std::string(row.sid));
    EXPECT_EQ(test::TextOf(*descriptor.view().owner), row.sid);
    EXPECT_EQ(TextOf(descriptor.view()), "O:" + std::string(row.name));
    EXPECT_EQ(test::TextOf(*DescriptorOf("O:" + std::string(row.name)).view().owner), row.sid);
  }
}

TEST(SddlTest, WhatIsWrongAndWhere) {
  struct Row {
    std::string_view text;
    Fault fault;
    std::size_t position;
  };
  const Row rows[] = {
      {"X:BA", Fault::kInvalidParameter, 0},
      {"O:BAX:", Fault::kInvalidParameter, 4},
      {"OBA", Fault::kInvalidParameter, 1},
      {"O", Fault::kInvalidParameter, 1},
      {"O:BAO:BA", Fault::kInvalidParameter, 4},
      {"D:D:", Fault::kInvalidParameter, 2},
      {"D:X(A;;GA;;;WD)", Fault::kInvalidParameter, 2},
      {"D:(A;;GA;;;WD)x", Fault::kInvalidParameter, 14},
      {"O:", Fault::kInvalidSid, 2},
      {"O:B", Fault::kInvalidSid, 2},
      {"O:XX", Fault::kInvalidSid, 2},
      {"G:S-1-5-", Fault::kInvalidSid, 2},
      {"O:G:BA", Fault::kInvalidSid, 2},
      {"D:(", Fault::kInvalidAcl, 3},
      {"D:()", Fault::kInvalidAcl, 3},
      {"D:(A)", Fault::kInvalidAcl, 4},
      {"D:(A;;GA;;WD)", Fault::kInvalidAcl, 12},
      {"D:(A;;GA;;;WD", Fault::kInvalidAcl, 13},
      {"D:(Q;;GA;;;WD)", Fault::kInvalidAcl, 3},
      {"D:(;;GA;;;WD)", Fault::kInvalidAcl, 3},
      {"D:(AU;;GA;;;WD)", Fault::kInvalidAcl, 3},
      {"S:(A;;GA;;;WD)", Fault::kInvalidAcl, 3},
      {"D:(A;OIXX;GA;;;WD)", Fault::kInvalidAcl, 7},
      {"D:(A;O;GA;;;WD)", Fault::kInvalidAcl, 5},
      {"D:(A;;GAXX;;;WD)", Fault::kInvalidAcl, 8},
      {"D:(A;;GAG;;;WD)", Fault::kInvalidAcl, 8},
      {"D:(A;;GA;x;;WD)", Fault::kInvalidAcl, 9},
      {"D:(OA;;GA;x;;WD)", Fault::kInvalidAcl, 10},
      {"D:(OA;;GA;;x;WD)", Fault::kInvalidAcl, 11},
      {"D:(A;;GA;;;)", Fault::kInvalidAcl, 11},
      {"D:(A;;GA;;;XX)", Fault::kInvalidAcl, 11},
      {"D:(A;;GA;;;WDX)", Fault::kInvalidAcl, 13},
      {"D:(A;;GA;;;S-1-1-0-)", Fault::kInvalidAcl, 11},
      {"D:(A;;GA;;;S-1-1-0 1)", Fault::kInvalidAcl, 18},
      {"D:(XA;;GA;;;WD;(@User.a == 1))", Fault::kNotSupported, 3},
      {"D:(XD;;GA;;;WD)", Fault::kNotSupported, 3},
      {"D:(ZA;;GA;;;WD)", Fault::kNotSupported, 3},
      {"S:(XU;;GA;;;WD)", Fault::kNotSupported, 3},
      {"S:(RA;;;;;WD;(\"a\",TI,0,1))", Fault::kNotSupported, 3},
      {"S:(SP;;;;;WD)", Fault::kNotSupported, 3},
      {"S:(AL;;GA;;;WD)", Fault::kNotSupported, 3},
      {"S:(OL;;GA;;;WD)", Fault::kNotSupported, 3},
      {"D:(A;;GA;;;WD;x)", Fault::kNotSupported, 13},
  };
  for (const Row& row : rows) {
    const SddlError error = ErrorOf(row.text);
    EXPECT_EQ(error.fault, row.fault) << row.text << ": " << error.what;
    EXPECT_EQ(error.position, row.position) << row.text << ": " << error.what;
    EXPECT_NE(std::string_view(error.what), "") << row.text;
  }
}

TEST(SddlTest, AListHas64KilobytesAtMost) {
  const auto of = [](std::size_t aces) {
    std::string text = "D:";
    for (std::size_t i = 0; i < aces; ++i) text += "(A;;GA;;;WD)";
    return text;
  };
  constexpr std::size_t kMost = (kAclBytesMax - 8) / 20;
  EXPECT_EQ(DescriptorOf(of(kMost)).view().dacl->count(), kMost);
  EXPECT_EQ(ErrorOf(of(kMost + 1)).fault, Fault::kInvalidAcl);
  EXPECT_EQ(ErrorOf(of(100000)).fault, Fault::kInvalidAcl);
}

// What no text can say is not written as something else.
TEST(SddlTest, WhatCannotBeWritten) {
  const auto with = [](AceType type, std::uint8_t flags, bool in_sacl) {
    Descriptor descriptor = DescriptorOf(in_sacl ? "S:(AU;;GA;;;WD)" : "D:(A;;GA;;;WD)");
    std::vector<std::byte> bytes = test::CopyOf(descriptor.image());
    bytes[28] = static_cast<std::byte>(type);
    bytes[29] = std::byte{flags};
    DescriptorView view;
    EXPECT_EQ(ReadDescriptor(bytes, &view), Fault::kNone);
    return TextOf(view);
  };
  const std::string refused = "fault: not supported";
  EXPECT_EQ(with(AceType::kAllowedCallback, 0, false), refused);
  EXPECT_EQ(with(AceType::kDeniedCallback, 0, false), refused);
  EXPECT_EQ(with(AceType::kAudit, 0, false), refused) << "in the wrong list";
  EXPECT_EQ(with(AceType::kAllowed, 0, true), refused);
  EXPECT_EQ(with(AceType::kResourceAttribute, 0, true), refused);
  EXPECT_EQ(with(AceType::kAllowed, 0x20, false), refused) << "a flag without a name";
  EXPECT_EQ(with(AceType::kDenied, kInherited, false), "D:(D;ID;GA;;;WD)");
}

TEST(SddlTest, OneAce) {
  std::string text;
  EXPECT_EQ(FormatAce(FirstAce("D:(D;CI;FW;;;BU)").view(), std::nullopt, &text), Fault::kNone);
  EXPECT_EQ(text, "(D;CI;FW;;;BU)");
}

}  // namespace
}  // namespace ktlsim::security
