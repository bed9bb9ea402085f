// The audit functions: what is checked, what is recorded, and what is refused where it cannot be.
#include <array>
#include <cstddef>
#include <cstring>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernel_sim/audit/verify_files.h"
#include "kernel_sim/authorization/process_token.h"
#include "kernel_sim/security/sddl.h"
#include "tests/authority/authority_test_support.h"
#include "tests/authorization/changing_memory.h"

namespace ktlsim::test {
namespace {

using testing::HasSubstr;

constexpr DWORD kRead = 1;
constexpr DWORD kWrite = 2;

// Bytes of a SID, an ACE and a list, as winnt.h lays them out.
struct AuditDescriptor {
  // Alice may read; whatever she tries is recorded.
  AuditDescriptor() {
    dacl.header = {2, 0, sizeof(dacl), 1, 0};
    dacl.ace = {{0, 0, sizeof(dacl.ace)}, kRead, alice};
    sacl.header = {2, 0, sizeof(sacl), 1, 0};
    sacl.ace = {{2, SUCCESSFUL_ACCESS_ACE_FLAG | FAILED_ACCESS_ACE_FLAG, sizeof(sacl.ace)},
                kRead | kWrite,
                alice};
    descriptor.Revision = 1;
    descriptor.Control = SE_DACL_PRESENT | SE_SACL_PRESENT;
    descriptor.Owner = &owner;
    descriptor.Group = &owner;
    descriptor.Sacl = reinterpret_cast<PACL>(&sacl);
    descriptor.Dacl = reinterpret_cast<PACL>(&dacl);
  }

  struct LongSid {
    BYTE revision;
    BYTE count;
    BYTE authority[6];
    DWORD parts[5];
  };
  struct Ace {
    struct {
      BYTE type;
      BYTE flags;
      WORD size;
    } header;
    DWORD mask;
    LongSid sid;
  };
  struct List {
    ACL header;
    Ace ace;
  };
  LongSid alice = {1, 5, {0, 0, 0, 0, 0, 5}, {21, 1, 2, 3, 1001}};
  SID owner = {1, 1, {{0, 0, 0, 0, 0, 5}}, {18}};
  List dacl{};
  List sacl{};
  SECURITY_DESCRIPTOR descriptor{};
};

class AuditFunctionsTest : public AuthorityTest {
 protected:
  AuditFunctionsTest() {
    EXPECT_EQ(Load(AccountText("alice", "sid = 'S-1-5-21-1-2-3-1001'\n")), SEC_E_OK);
    EXPECT_EQ(LogOn("alice", kPassword, LOGON32_LOGON_NETWORK, &alice_), DWORD{ERROR_SUCCESS});
  }
  ~AuditFunctionsTest() override {
    EXPECT_EQ(KtlsimCloseAuditTrail(), SEC_E_OK);
    EXPECT_EQ(KtlsimCloseHandle(alice_), TRUE);
  }

  SECURITY_STATUS OpenTrail(const char* name = "audit.log", ULONG flags = 0) const {
    const std::string path = folder_.path() + "/" + name;
    KtlsimAuditTrail trail{};
    trail.cbSize = sizeof(trail);
    trail.fFlags = flags;
    trail.pszLogFile = path.c_str();
    trail.pbKey = reinterpret_cast<const unsigned char*>(kKey.data());
    trail.cbKey = static_cast<ULONG>(kKey.size());
    return KtlsimOpenAuditTrail(&trail);
  }
  // The lines of callers; the trail is closed and verified before.
  std::vector<std::string> Records(const char* name = "audit.log") const {
    EXPECT_EQ(KtlsimCloseAuditTrail(), SEC_E_OK) << KtlsimLastErrorText();
    std::ifstream file(folder_.path() + "/" + name);
    std::vector<std::string> lines;
    for (std::string line; std::getline(file, line);) {
      const bool own = line.find("\"event\":\"start\"") != std::string::npos ||
                       line.find("\"event\":\"stop\"") != std::string::npos;
      if (!own) lines.push_back(line);
    }
    return lines;
  }
  // As whom the thread acts. The error of the call, and the results.
  struct Checked {
    DWORD error = 0;  // 0: the check was made
    DWORD granted = 0x77;
    BOOL status = 77;
    BOOL generate = 77;
    DWORD reason = 0;
  };
  Checked Check(DWORD desired, const char* name = "/srv/a") {
    Checked checked;
    char type[] = "File";
    std::string object = name;
    SetLastError(0);
    if (AccessCheckAndAuditAlarmA("tests", reinterpret_cast<LPVOID>(0x40), type, object.data(),
                                  &descriptor_.descriptor, desired, &mapping_, FALSE,
                                  &checked.granted, &checked.status, &checked.generate) != TRUE) {
      checked.error = GetLastError();
    }
    checked.reason = GetLastError();
    return checked;
  }
  static void EnableAudit(bool enabled) {
    const security::PrivilegeChange change = {security::Privilege::kAudit,
                                              enabled ? security::kPrivilegeEnabled : 0U};
    EXPECT_EQ(authorization::ProcessToken()->AdjustPrivileges(
                  {&change, 1}, authorization::NextLuid(), [](auto) { return true; }),
              security::Fault::kNone);
  }

  const std::string kKey = std::string(32, 'k');
  AuditDescriptor descriptor_;
  GENERIC_MAPPING mapping_ = {kRead, kWrite, 4, 7};
  HANDLE alice_ = nullptr;
};

TEST_F(AuditFunctionsTest, AnAccessIsCheckedAndRecorded) {
  ASSERT_EQ(OpenTrail(), SEC_E_OK) << KtlsimLastErrorText();
  ASSERT_EQ(ImpersonateLoggedOnUser(alice_), TRUE);
  const Checked read = Check(kRead);
  EXPECT_EQ(read.error, 0U);
  EXPECT_EQ(read.status, TRUE);
  EXPECT_EQ(read.granted, kRead);
  EXPECT_EQ(read.generate, TRUE);
  const Checked write = Check(kWrite);
  EXPECT_EQ(write.error, 0U);
  EXPECT_EQ(write.status, FALSE);
  EXPECT_EQ(write.granted, 0U);
  EXPECT_EQ(write.generate, FALSE);
  EXPECT_EQ(write.reason, DWORD{ERROR_ACCESS_DENIED});
  EXPECT_EQ(KtlsimFlushAuditTrail(), SEC_E_OK);
  const std::vector<std::string> lines = Records();
  ASSERT_EQ(lines.size(), 2U);
  for (const char* part :
       {R"("event":"access","outcome":"success")", R"("user":"S-1-5-21-1-2-3-1001")",
        R"("name":"alice")", R"("subsystem":"tests")", R"("handle":"0x40")", R"("type":"File")",
        R"("object":"/srv/a")", R"("desired":"0x1","granted":"0x1")"}) {
    EXPECT_THAT(lines[0], HasSubstr(part));
  }
  EXPECT_THAT(lines[1], HasSubstr(R"("event":"access","outcome":"failure")"));
  EXPECT_THAT(lines[1], HasSubstr(R"("desired":"0x2","granted":"0x0")"));
}

// The names of NEW_CREDENTIALS are whatever the caller says.
TEST_F(AuditFunctionsTest, ANameThatNobodyHasVerifiedIsInNoRecord) {
  ASSERT_EQ(OpenTrail(), SEC_E_OK) << KtlsimLastErrorText();
  ASSERT_EQ(ImpersonateLoggedOnUser(alice_), TRUE);
  HANDLE forged = nullptr;
  ASSERT_EQ(LogOn("Administrator", "anything", LOGON32_LOGON_NEW_CREDENTIALS, &forged),
            DWORD{ERROR_SUCCESS});
  ASSERT_EQ(ImpersonateLoggedOnUser(forged), TRUE);
  EXPECT_EQ(Check(kRead).status, TRUE);
  BOOL generate = FALSE;
  EXPECT_EQ(ObjectOpenAuditAlarmA("tests", nullptr, nullptr, nullptr, &descriptor_.descriptor,
                                  forged, kRead, kRead, nullptr, FALSE, TRUE, &generate),
            TRUE);
  EXPECT_EQ(KtlsimCloseHandle(forged), TRUE);
  const std::vector<std::string> lines = Records();
  ASSERT_EQ(lines.size(), 2U);
  for (const std::string& line : lines) {
    EXPECT_THAT(line, HasSubstr(R"("user":"S-1-5-21-1-2-3-1001")"));
    EXPECT_THAT(line, testing::Not(HasSubstr("Administrator")));
  }
}

TEST_F(AuditFunctionsTest, WithoutATrailTheCheckIsTheSame) {
  ASSERT_EQ(ImpersonateLoggedOnUser(alice_), TRUE);
  EXPECT_EQ(Check(kRead).status, TRUE);
  EXPECT_EQ(Check(kWrite).reason, DWORD{ERROR_ACCESS_DENIED});
  EXPECT_EQ(KtlsimFlushAuditTrail(), SEC_E_INVALID_PARAMETER);
  EXPECT_EQ(KtlsimRotateAuditTrail(), SEC_E_INVALID_PARAMETER);
}

TEST_F(AuditFunctionsTest, WhatIsMissingIsToldAndNothingIsStored) {
  ASSERT_EQ(OpenTrail(), SEC_E_OK) << KtlsimLastErrorText();
  const auto expect = [&](const Checked& checked, DWORD error) {
    EXPECT_EQ(checked.error, error);
    EXPECT_EQ(checked.granted, 0x77U);
    EXPECT_EQ(checked.status, 77);
    EXPECT_EQ(checked.generate, 77);
  };
  expect(Check(kRead), ERROR_NO_IMPERSONATION_TOKEN);
  ASSERT_EQ(ImpersonateLoggedOnUser(alice_), TRUE);
  expect(Check(GENERIC_READ), ERROR_GENERIC_NOT_MAPPED);
  expect(Check(kRead, "\xFF"), ERROR_INVALID_PARAMETER);
  EnableAudit(false);
  expect(Check(kRead), ERROR_PRIVILEGE_NOT_HELD);
  EXPECT_EQ(ObjectCloseAuditAlarmA("tests", nullptr, TRUE), FALSE);
  EXPECT_EQ(GetLastError(), DWORD{ERROR_PRIVILEGE_NOT_HELD});
  EXPECT_EQ(ObjectCloseAuditAlarmA("tests", nullptr, FALSE), TRUE) << "there is nothing to do";
  EnableAudit(true);
  EXPECT_EQ(AccessCheckAndAuditAlarmA("tests", nullptr, nullptr, nullptr, &descriptor_.descriptor,
                                      kRead, &mapping_, FALSE, nullptr, nullptr, nullptr),
            FALSE);
  EXPECT_EQ(GetLastError(), DWORD{ERROR_NOACCESS});
  EXPECT_THAT(Records(), testing::IsEmpty());
}

// As AccessCheck: who asks comes before what is asked for, and that before the descriptor.
TEST_F(AuditFunctionsTest, OfSeveralMistakesTheFirstIsTold) {
  ASSERT_EQ(OpenTrail(), SEC_E_OK) << KtlsimLastErrorText();
  descriptor_.descriptor.Revision = 9;
  const auto expect = [&](DWORD desired, const char* name, DWORD error) {
    EXPECT_EQ(Check(desired, name).error, error);
  };
  expect(GENERIC_READ, "\xFF", ERROR_NO_IMPERSONATION_TOKEN);
  ASSERT_EQ(ImpersonateSelf(SecurityAnonymous), TRUE);
  expect(GENERIC_READ, "\xFF", ERROR_BAD_IMPERSONATION_LEVEL);
  expect(GENERIC_READ, "x", ERROR_BAD_IMPERSONATION_LEVEL);
  expect(kRead, "x", ERROR_BAD_IMPERSONATION_LEVEL);
  ASSERT_EQ(ImpersonateLoggedOnUser(alice_), TRUE);
  expect(GENERIC_READ, "x", ERROR_GENERIC_NOT_MAPPED);
  expect(kRead, "x", ERROR_UNKNOWN_REVISION);
  EXPECT_THAT(Records(), testing::IsEmpty());
}

TEST_F(AuditFunctionsTest, WhatCallersTellIsRecorded) {
  ASSERT_EQ(OpenTrail(), SEC_E_OK) << KtlsimLastErrorText();
  PRIVILEGE_SET privileges = {1, 0, {{{8, 0}, 0}}};  // SeSecurityPrivilege
  BOOL generate = FALSE;
  WCHAR type[] = u"File";
  WCHAR name[] = u"/srv/\xD83D";
  const auto handle = reinterpret_cast<LPVOID>(0x44);
  EXPECT_EQ(ObjectOpenAuditAlarmW(u"tests", handle, type, name, &descriptor_.descriptor, alice_,
                                  kRead, kRead, nullptr, FALSE, TRUE, &generate),
            TRUE);
  EXPECT_EQ(generate, TRUE);
  EXPECT_EQ(ObjectPrivilegeAuditAlarmA("tests", handle, alice_, kWrite, &privileges, TRUE), TRUE);
  EXPECT_EQ(ObjectPrivilegeAuditAlarmW(u"tests", handle, alice_, kWrite, &privileges, FALSE), TRUE);
  EXPECT_EQ(PrivilegedServiceAuditAlarmA("tests", "backup", alice_, &privileges, TRUE), TRUE);
  EXPECT_EQ(PrivilegedServiceAuditAlarmW(u"tests", u"backup", alice_, &privileges, TRUE), TRUE);
  EXPECT_EQ(ObjectCloseAuditAlarmW(u"tests", handle, TRUE), TRUE);
  EXPECT_EQ(ObjectDeleteAuditAlarmA("tests", handle, TRUE), TRUE);
  EXPECT_EQ(ObjectDeleteAuditAlarmW(u"tests", handle, FALSE), TRUE);
  EXPECT_EQ(ObjectPrivilegeAuditAlarmA("tests", handle, nullptr, kWrite, &privileges, TRUE), FALSE);
  EXPECT_EQ(ObjectPrivilegeAuditAlarmA("tests", handle, alice_, kWrite, nullptr, TRUE), FALSE);
  EXPECT_EQ(GetLastError(), DWORD{ERROR_NOACCESS});
  const std::vector<std::string> lines = Records();
  const char* const events[] = {R"("event":"open","outcome":"success")",
                                R"("event":"privilege-use","outcome":"success")",
                                R"("event":"privilege-use","outcome":"failure")",
                                R"("event":"service","outcome":"success")",
                                R"("event":"service","outcome":"success")",
                                R"("event":"close","outcome":"success")",
                                R"("event":"delete","outcome":"success")"};
  ASSERT_EQ(lines.size(), std::size(events));
  for (std::size_t i = 0; i < lines.size(); ++i) EXPECT_THAT(lines[i], HasSubstr(events[i]));
  EXPECT_THAT(lines[0], HasSubstr(R"(\ufffd)"));
  EXPECT_THAT(lines[1], HasSubstr(R"("privileges":["SeSecurityPrivilege"])"));
  EXPECT_THAT(lines[3], HasSubstr(R"("object":"backup")"));
}

// What is told is recorded: what is known by its name, the rest by its number.
TEST_F(AuditFunctionsTest, PrivilegesThatNobodyKnowsAreCounted) {
  ASSERT_EQ(OpenTrail(), SEC_E_OK) << KtlsimLastErrorText();
  struct {
    PRIVILEGE_SET set;
    LUID_AND_ATTRIBUTES more[69];
  } told{};
  told.set.PrivilegeCount = 3;
  told.set.Privilege[0].Luid = {999, 0};
  told.more[0].Luid = {8, 0};  // SeSecurityPrivilege
  told.more[1].Luid = {8, 1};
  EXPECT_EQ(ObjectPrivilegeAuditAlarmA("tests", nullptr, alice_, kWrite, &told.set, TRUE), TRUE);
  told.set.PrivilegeCount = 70;
  EXPECT_EQ(PrivilegedServiceAuditAlarmA("tests", "backup", alice_, &told.set, TRUE), TRUE);
  BOOL generate = FALSE;
  EXPECT_EQ(ObjectOpenAuditAlarmA("tests", nullptr, nullptr, nullptr, &descriptor_.descriptor,
                                  alice_, kRead, kRead, &told.set, FALSE, TRUE, &generate),
            TRUE);
  const std::vector<std::string> lines = Records();
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_THAT(lines[0],
              HasSubstr(R"("privileges":["SeSecurityPrivilege"],"unknown_privileges":2)"));
  for (const std::size_t i : {1U, 2U})
    EXPECT_THAT(lines[i], HasSubstr(R"("unknown_privileges":69)"));
}

// A text that is longer than a record has room is UTF-8 all the same, up to where it is cut.
TEST_F(AuditFunctionsTest, ALongTextIsUtf8UpToItsCut) {
  ASSERT_EQ(OpenTrail(), SEC_E_OK) << KtlsimLastErrorText();
  ASSERT_EQ(ImpersonateLoggedOnUser(alice_), TRUE);
  // With so many bytes before `text`, and some behind it.
  const auto error = [&](std::size_t before, const std::string& text) {
    return Check(kRead, (std::string(before, 'x') + text + std::string(8, 'x')).c_str()).error;
  };
  constexpr std::size_t kBytesRead = 65537;
  EXPECT_EQ(error(kBytesRead, "\xFF"), 0U) << "nobody reads that";
  EXPECT_EQ(error(kBytesRead - 1, "\xFF"), DWORD{ERROR_INVALID_PARAMETER});
  EXPECT_EQ(error(0, "\xFF" + std::string(kBytesRead, 'x')), DWORD{ERROR_INVALID_PARAMETER});
  EXPECT_EQ(error(kBytesRead - 4, "\x80\x80\x80\x80"), DWORD{ERROR_INVALID_PARAMETER});
  for (const std::size_t read : {1U, 2U, 3U, 4U}) {
    EXPECT_EQ(error(kBytesRead - read, "\xF0\x9F\x98\x80"), 0U) << read;
    EXPECT_EQ(error(kBytesRead - read, "\xE2\x82\xAC"), 0U) << read;
    EXPECT_EQ(error(kBytesRead - read, "\xC3\xA4"), 0U) << read;
  }
}

// An object with two properties, of which Alice may read the first only.
class AuditByTypeTest : public AuditFunctionsTest {
 protected:
  AuditByTypeTest() {
    std::optional<security::Descriptor> parsed;
    EXPECT_EQ(security::ParseSddl(
                  "O:BAG:BAD:(OA;;0x1;00000001-0000-0000-0000-000000000000;;S-1-5-21-1-2-3-1001)"
                  "S:(AU;SAFA;0x3;;;WD)",
                  std::nullopt, &parsed)
                  .fault,
              security::Fault::kNone);
    image_.assign(parsed->image().begin(), parsed->image().end());
  }
  // Of the whole, or of each type.
  DWORD CheckTypes(DWORD desired, DWORD flags = 0, DWORD count = 3) {
    SetLastError(17);
    const BOOL made = AccessCheckByTypeAndAuditAlarmA(
        "tests", nullptr, "Record", "r1", image_.data(), nullptr, desired, AuditEventObjectAccess,
        flags, types_, count, &mapping_, FALSE, &granted_[0], &status_, &generate_);
    return made == TRUE ? DWORD{ERROR_SUCCESS} : GetLastError();
  }
  DWORD CheckEach(DWORD desired, POBJECT_TYPE_LIST types, DWORD count = 3, DWORD flags = 0) {
    SetLastError(17);
    const BOOL made = AccessCheckByTypeResultListAndAuditAlarmW(
        u"tests", nullptr, u"Record", u"r2", image_.data(), nullptr, desired,
        AuditEventDirectoryServiceAccess, flags, types, count, &mapping_, FALSE, granted_, each_,
        &generate_);
    return made == TRUE ? DWORD{ERROR_SUCCESS} : GetLastError();
  }

  GUID object_ = {9, 0, 0, {}};
  GUID property_ = {1, 0, 0, {}};
  GUID other_ = {2, 0, 0, {}};
  OBJECT_TYPE_LIST types_[3] = {{0, 0, &object_}, {1, 0, &property_}, {1, 0, &other_}};
  std::vector<std::byte> image_;
  DWORD granted_[3] = {0x77, 0x77, 0x77};
  DWORD each_[3] = {0x77, 0x77, 0x77};
  BOOL status_ = 77;
  BOOL generate_ = 77;
};

TEST_F(AuditByTypeTest, AsOneAndEachByItself) {
  ASSERT_EQ(OpenTrail(), SEC_E_OK) << KtlsimLastErrorText();
  EXPECT_EQ(CheckTypes(kRead), DWORD{ERROR_NO_IMPERSONATION_TOKEN});
  ASSERT_EQ(ImpersonateLoggedOnUser(alice_), TRUE);
  EXPECT_EQ(CheckTypes(kRead), DWORD{ERROR_SUCCESS});
  EXPECT_EQ(status_, FALSE) << "the object as a whole";
  EXPECT_EQ(granted_[0], 0U);
  EXPECT_EQ(generate_, FALSE);
  EXPECT_EQ(GetLastError(), DWORD{ERROR_ACCESS_DENIED});
  EXPECT_EQ(CheckEach(kRead, types_), DWORD{ERROR_SUCCESS});
  EXPECT_EQ(granted_[0], 0U);
  EXPECT_EQ(each_[0], DWORD{ERROR_ACCESS_DENIED});
  EXPECT_EQ(granted_[1], kRead);
  EXPECT_EQ(each_[1], DWORD{ERROR_SUCCESS});
  EXPECT_EQ(each_[2], DWORD{ERROR_ACCESS_DENIED});
  EXPECT_EQ(generate_, TRUE);
  EXPECT_EQ(GetLastError(), 17U);
  const std::vector<std::string> lines = Records();
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_THAT(lines[0], HasSubstr(R"("event":"access","outcome":"failure")"));
  EXPECT_THAT(lines[1], HasSubstr(R"("event":"access","outcome":"success")"));
  EXPECT_THAT(lines[1], HasSubstr(R"("object":"r2")"));
}

TEST_F(AuditByTypeTest, WithoutThePrivilegeWhereThatIsAllowed) {
  ASSERT_EQ(OpenTrail(), SEC_E_OK) << KtlsimLastErrorText();
  ASSERT_EQ(ImpersonateLoggedOnUser(alice_), TRUE);
  EnableAudit(false);
  EXPECT_EQ(CheckEach(kRead, types_), DWORD{ERROR_PRIVILEGE_NOT_HELD});
  EXPECT_EQ(each_[1], 0x77U);
  EXPECT_EQ(CheckEach(kRead, types_, 3, AUDIT_ALLOW_NO_PRIVILEGE), DWORD{ERROR_SUCCESS});
  EXPECT_EQ(each_[1], DWORD{ERROR_SUCCESS});
  EXPECT_EQ(generate_, FALSE);
  EnableAudit(true);
  EXPECT_THAT(Records(), testing::IsEmpty());
}

TEST_F(AuditByTypeTest, WrongArguments) {
  ASSERT_EQ(ImpersonateLoggedOnUser(alice_), TRUE);
  EXPECT_EQ(CheckTypes(kRead, 2), DWORD{ERROR_INVALID_PARAMETER});
  EXPECT_EQ(CheckTypes(kRead, 0, 1025), DWORD{ERROR_INVALID_PARAMETER});
  EXPECT_EQ(CheckEach(kRead, types_, 0), DWORD{ERROR_INVALID_PARAMETER});
  EXPECT_EQ(CheckEach(kRead, nullptr), DWORD{ERROR_NOACCESS});
  EXPECT_EQ(CheckEach(GENERIC_READ, types_), DWORD{ERROR_GENERIC_NOT_MAPPED});
  types_[1].ObjectType = &object_;
  EXPECT_EQ(CheckEach(kRead, types_), DWORD{ERROR_INVALID_PARAMETER}) << "one is there twice";
  types_[1].ObjectType = nullptr;
  EXPECT_EQ(CheckTypes(kRead), DWORD{ERROR_INVALID_PARAMETER});
  EXPECT_EQ(granted_[0], 0x77U);
  EXPECT_EQ(status_, 77);
  EXPECT_EQ(generate_, 77);
}

// What has no record has not happened, for none of the types: a child has no writer.
TEST_F(AuditByTypeTest, WhatCannotBeRecordedIsRefused) {
  KTLSIM_SKIP_CHILD_WITH_THREADS();
  ASSERT_EQ(OpenTrail(), SEC_E_OK) << KtlsimLastErrorText();
  ASSERT_EQ(ImpersonateLoggedOnUser(alice_), TRUE);
  const int outcome = InChild([&] {
    if (CheckEach(kRead, types_) != ERROR_SUCCESS || granted_[1] != 0) return 1;
    return each_[0] == ERROR_NO_SYSTEM_RESOURCES && each_[1] == ERROR_NO_SYSTEM_RESOURCES ? 0 : 2;
  });
  EXPECT_EQ(outcome, 0);
}

// Of both lists, the first entry's size becomes one that leads far behind the list, and back again.
TEST_F(AuditFunctionsTest, ADescriptorThatChangesMeanwhile) {
  std::string text = "O:BAG:BAD:";
  for (int i = 0; i < 64; ++i) text += "(A;;0x2;;;AN)";
  text += "S:";
  for (int i = 0; i < 64; ++i) text += "(AU;SAFA;0x2;;;AN)";
  std::optional<security::Descriptor> parsed;
  ASSERT_EQ(security::ParseSddl(text, std::nullopt, &parsed).fault, security::Fault::kNone);
  const auto image = parsed->image();
  DWORD offsets[2] = {};  // of the SACL and the DACL
  std::memcpy(offsets, image.data() + 12, sizeof(offsets));
  ASSERT_EQ(ImpersonateLoggedOnUser(alice_), TRUE);
  const auto check = [&](std::byte* at) {
    Checked checked;
    const BOOL made =
        AccessCheckAndAuditAlarmA("tests", nullptr, nullptr, nullptr, at, kRead, &mapping_, FALSE,
                                  &checked.granted, &checked.status, &checked.generate);
    return made == TRUE ? checked.status == FALSE : GetLastError() == ERROR_INVALID_ACL;
  };
  EXPECT_EQ(RunWhileItChanges(image, {offsets[1] + 8 + 2, {20, 0xFFFC}}, check), 0);
  const auto open = [&](std::byte* at) {
    BOOL generate = 77;
    const BOOL made = ObjectOpenAuditAlarmA("tests", nullptr, nullptr, nullptr, at, alice_, kRead,
                                            kRead, nullptr, FALSE, TRUE, &generate);
    return made == TRUE ? generate == FALSE : GetLastError() == ERROR_INVALID_ACL;
  };
  EXPECT_EQ(RunWhileItChanges(image, {offsets[0] + 8 + 2, {20, 0xFFFC}}, open), 0);
}

TEST_F(AuditFunctionsTest, ATrailIsOpenedOnceAndContinued) {
  KtlsimAuditTrail bad{};
  EXPECT_EQ(KtlsimOpenAuditTrail(nullptr), SEC_E_INVALID_PARAMETER);
  EXPECT_EQ(KtlsimOpenAuditTrail(&bad), SEC_E_INVALID_PARAMETER);
  EXPECT_EQ(OpenTrail("audit.log", 4), SEC_E_INVALID_PARAMETER);
  EXPECT_EQ(OpenTrail("nowhere/audit.log"), SEC_E_INTERNAL_ERROR);
  EXPECT_NE(std::string(KtlsimLastErrorText()), "");
  ASSERT_EQ(ImpersonateLoggedOnUser(alice_), TRUE);
  for (int i = 0; i < 2; ++i) {
    ASSERT_EQ(OpenTrail(), SEC_E_OK) << KtlsimLastErrorText();
    EXPECT_EQ(OpenTrail("other.log"), SEC_E_INVALID_PARAMETER) << "one is open";
    EXPECT_EQ(Check(kRead).status, TRUE);
    EXPECT_EQ(KtlsimCloseAuditTrail(), SEC_E_OK);
  }
  std::vector<std::string> lines = Records();
  std::erase_if(lines, [](const std::string& line) {
    return line.find("\"event\":\"access\"") == std::string::npos;
  });
  EXPECT_EQ(lines.size(), 2U);
}

TEST_F(AuditFunctionsTest, AChildWritesToATrailOfItsOwn) {
  KTLSIM_SKIP_CHILD_WITH_THREADS();
  ASSERT_EQ(OpenTrail(), SEC_E_OK) << KtlsimLastErrorText();
  ASSERT_EQ(ImpersonateLoggedOnUser(alice_), TRUE);
  EXPECT_EQ(Check(kRead).status, TRUE);
  const int outcome = InChild([&] {
    const Checked checked = Check(kRead);
    if (checked.status != FALSE || checked.reason != ERROR_NO_SYSTEM_RESOURCES) return 1;
    if (KtlsimFlushAuditTrail() != SEC_E_INVALID_PARAMETER) return 2;
    if (OpenTrail("child.log") != SEC_E_OK) return 3;
    if (Check(kRead).status != TRUE) return 4;
    return KtlsimCloseAuditTrail() == SEC_E_OK && Check(kRead).status == TRUE ? 0 : 5;
  });
  EXPECT_EQ(outcome, 0);
  EXPECT_EQ(Check(kRead).status, TRUE);
  EXPECT_EQ(Records().size(), 2U);
  EXPECT_EQ(Records("child.log").size(), 1U);
}

}  // namespace
}  // namespace ktlsim::test
