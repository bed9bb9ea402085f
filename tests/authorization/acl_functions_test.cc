// Access control lists through the C API.
#include <array>
#include <cstring>
#include <string>
#include <vector>

#include "kernel_sim/security/sddl.h"
#include "tests/authorization/authorization_test_support.h"
#include "tests/authorization/changing_memory.h"

namespace ktlsim::authorization {
namespace {

using security::Sid;

class AclFunctionsTest : public AuthorizationTest {
 protected:
  AclFunctionsTest() { EXPECT_EQ(InitializeAcl(acl(), sizeof(memory_), ACL_REVISION), TRUE); }

  PACL acl() { return reinterpret_cast<PACL>(memory_.data()); }
  std::byte* at(std::size_t offset) { return memory_.data() + offset; }
  DWORD count() {
    ACL_SIZE_INFORMATION size{};
    EXPECT_EQ(GetAclInformation(acl(), &size, sizeof(size), AclSizeInformation), TRUE);
    return size.AceCount;
  }
  // The entries, without the letters of the list.
  std::string Text() {
    const auto view = security::AclView::Read(memory_);
    EXPECT_TRUE(view.has_value());
    std::string text;
    if (!view) return text;
    for (const security::AceView ace : *view) {
      std::string one;
      EXPECT_EQ(security::FormatAce(ace, std::nullopt, &one), security::Fault::kNone);
      text += one;
    }
    return text;
  }

  static inline const Sid kClient = ClientSid(1001);
  static PSID Client() { return const_cast<Sid*>(&kClient); }
  static PSID World() { return const_cast<Sid*>(&security::kWorldSid); }

  alignas(8) std::array<std::byte, 512> memory_{};
};

TEST_F(AclFunctionsTest, EntriesAreAppendedAndNeverSorted) {
  EXPECT_EQ(AddAccessAllowedAce(acl(), ACL_REVISION, 1, World()), TRUE);
  EXPECT_EQ(AddAccessDeniedAce(acl(), ACL_REVISION, 2, Client()), TRUE);
  EXPECT_EQ(AddAccessAllowedAceEx(acl(), ACL_REVISION, INHERIT_ONLY_ACE, 4, World()), TRUE);
  EXPECT_EQ(AddAccessDeniedAceEx(acl(), ACL_REVISION, OBJECT_INHERIT_ACE, 8, World()), TRUE);
  EXPECT_EQ(AddAuditAccessAce(acl(), ACL_REVISION, 0x10, World(), TRUE, FALSE), TRUE);
  EXPECT_EQ(
      AddAuditAccessAceEx(acl(), ACL_REVISION, FAILED_ACCESS_ACE_FLAG, 0x20, World(), TRUE, FALSE),
      TRUE);
  const Sid low(security::kLabelAuthority, {security::kLowIntegrity});
  EXPECT_EQ(AddMandatoryAce(acl(), ACL_REVISION, 0, SYSTEM_MANDATORY_LABEL_NO_WRITE_UP,
                            const_cast<Sid*>(&low)),
            TRUE);
  EXPECT_EQ(Text(),
            "(A;;CC;;;WD)(D;;DC;;;S-1-5-21-1-2-3-1001)(A;IO;LC;;;WD)(D;OI;SW;;;WD)"
            "(AU;SA;RP;;;WD)(AU;SAFA;WP;;;WD)(ML;;NW;;;LW)");
  EXPECT_EQ(IsValidAcl(acl()), TRUE);
}

TEST_F(AclFunctionsTest, ObjectEntriesNeedTheirRevision) {
  GUID type = {1, 2, 3, {4, 5, 6, 7, 8, 9, 10, 11}};
  ExpectError(AddAccessAllowedObjectAce(acl(), ACL_REVISION, 0, 1, &type, nullptr, World()),
              ERROR_REVISION_MISMATCH);
  EXPECT_EQ(AddAccessAllowedObjectAce(acl(), ACL_REVISION, 0, 1, nullptr, nullptr, World()), TRUE);
  EXPECT_EQ(Text(), "(A;;CC;;;WD)") << "without a type it is a plain one";
  EXPECT_EQ(AddAccessDeniedObjectAce(acl(), ACL_REVISION_DS, 0, 1, &type, &type, World()), TRUE);
  EXPECT_EQ(
      AddAuditAccessObjectAce(acl(), ACL_REVISION_DS, 0, 1, nullptr, &type, World(), FALSE, TRUE),
      TRUE);
  const std::string guid = "00000001-0002-0003-0405-060708090a0b";
  EXPECT_EQ(Text(), "(A;;CC;;;WD)(OD;;CC;" + guid + ";" + guid + ";WD)(OU;FA;CC;;" + guid + ";WD)");
  EXPECT_EQ(acl()->AclRevision, ACL_REVISION_DS) << "the larger one";
  EXPECT_EQ(AddAccessAllowedAce(acl(), ACL_REVISION, 1, World()), TRUE);
  EXPECT_EQ(acl()->AclRevision, ACL_REVISION_DS);
}

TEST_F(AclFunctionsTest, WhatCannotBeAppended) {
  for (const DWORD revision : {DWORD{0}, DWORD{1}, DWORD{5}, DWORD{0xFFFFFFFF}}) {
    ExpectError(AddAccessAllowedAce(acl(), revision, 1, World()), ERROR_REVISION_MISMATCH);
  }
  for (const DWORD flags : {DWORD{0x20}, DWORD{0x40}, DWORD{0x80}, DWORD{0x100}}) {
    ExpectError(AddAccessAllowedAceEx(acl(), ACL_REVISION, flags, 1, World()), ERROR_INVALID_FLAGS);
  }
  ExpectError(AddAuditAccessAceEx(acl(), ACL_REVISION, 0x20, 1, World(), TRUE, TRUE),
              ERROR_INVALID_FLAGS);
  ExpectError(AddAccessAllowedAce(nullptr, ACL_REVISION, 1, World()), ERROR_INVALID_ACL);
  ExpectError(AddAccessAllowedAce(acl(), ACL_REVISION, 1, nullptr), ERROR_INVALID_SID);
  std::array<std::byte, 8> endless = {std::byte{1}, std::byte{255}};
  ExpectError(AddAccessAllowedAce(acl(), ACL_REVISION, 1, endless.data()), ERROR_INVALID_SID);
  ExpectError(AddMandatoryAce(acl(), ACL_REVISION, 0, 1, World()), ERROR_INVALID_SID);
  const Sid low(security::kLabelAuthority, {security::kLowIntegrity});
  ExpectError(AddMandatoryAce(acl(), ACL_REVISION, 0, 8, const_cast<Sid*>(&low)),
              ERROR_INVALID_PARAMETER);
  EXPECT_EQ(count(), 0U);
  ASSERT_EQ(InitializeAcl(acl(), 8 + 19, ACL_REVISION), TRUE);
  EXPECT_EQ(acl()->AclSize, 24U) << "rounded down to a multiple of four";
  ExpectError(AddAccessAllowedAce(acl(), ACL_REVISION, 1, World()), ERROR_ALLOTTED_SPACE_EXCEEDED);
  ASSERT_EQ(InitializeAcl(acl(), 8 + 20, ACL_REVISION), TRUE);
  EXPECT_EQ(AddAccessAllowedAce(acl(), ACL_REVISION, 1, World()), TRUE);
}

TEST_F(AclFunctionsTest, ListsThatCannotBeMade) {
  for (const DWORD bytes : {DWORD{0}, DWORD{7}}) {
    ExpectError(InitializeAcl(acl(), bytes, ACL_REVISION), ERROR_INSUFFICIENT_BUFFER);
  }
  for (const DWORD bytes : {DWORD{65536}, DWORD{0xFFFFFFFF}}) {
    ExpectError(InitializeAcl(acl(), bytes, ACL_REVISION), ERROR_INVALID_PARAMETER);
  }
  for (const DWORD revision : {DWORD{1}, DWORD{5}, DWORD{0x102}}) {
    ExpectError(InitializeAcl(acl(), 64, revision), ERROR_INVALID_PARAMETER);
  }
  ExpectError(InitializeAcl(nullptr, 64, ACL_REVISION), ERROR_NOACCESS);
}

// Lists of exactly their memory, whose headers say something else.
TEST_F(AclFunctionsTest, SizesThatLie) {
  ASSERT_EQ(AddAccessAllowedAce(acl(), ACL_REVISION, 1, World()), TRUE);
  const std::vector<std::byte> good(memory_.begin(), memory_.begin() + 28);
  struct Lie {
    std::size_t offset;
    WORD value;
  };
  // The list's size below its entries and its header, more entries, an entry's size, a SID's count.
  for (const Lie& lie : {Lie{2, 24}, Lie{2, 7}, Lie{2, 0}, Lie{4, 2}, Lie{4, 0xFFFF}, Lie{10, 0},
                         Lie{10, 16}, Lie{10, 19}, Lie{10, 24}, Lie{10, 0xFFFC}, Lie{16, 0x0201},
                         Lie{16, 0xFF01}, Lie{16, 0x0102}, Lie{0, 0}, Lie{0, 5}}) {
    std::vector<std::byte> bad = good;
    std::memcpy(bad.data() + 2, "\x1c\x00", 2);
    std::memcpy(bad.data() + lie.offset, &lie.value, 2);
    auto* const list = reinterpret_cast<PACL>(bad.data());
    SetLastError(0);
    EXPECT_EQ(IsValidAcl(list), FALSE) << lie.offset << ": " << lie.value;
    EXPECT_EQ(GetLastError(), 0U);
    void* ace = nullptr;
    ExpectError(GetAce(list, 0, &ace), ERROR_INVALID_ACL);
    ExpectError(FindFirstFreeAce(list, &ace), ERROR_INVALID_ACL);
    ExpectError(DeleteAce(list, 0), ERROR_INVALID_ACL);
    ExpectError(AddAccessAllowedAce(list, ACL_REVISION, 1, World()), ERROR_INVALID_ACL);
    ExpectError(AddAce(list, ACL_REVISION, 0, const_cast<std::byte*>(good.data() + 8), 20),
                ERROR_INVALID_ACL);
    ACL_SIZE_INFORMATION size{};
    ExpectError(GetAclInformation(list, &size, sizeof(size), AclSizeInformation),
                ERROR_INVALID_ACL);
    EXPECT_EQ(ace, nullptr);
  }
  EXPECT_EQ(IsValidAcl(nullptr), FALSE);
}

TEST_F(AclFunctionsTest, EntriesAreFoundAndTakenAway) {
  ASSERT_EQ(AddAccessAllowedAce(acl(), ACL_REVISION, 1, World()), TRUE);
  ASSERT_EQ(AddAccessAllowedAce(acl(), ACL_REVISION, 2, Client()), TRUE);
  void* ace = nullptr;
  ASSERT_EQ(GetAce(acl(), 1, &ace), TRUE);
  EXPECT_EQ(ace, at(28));
  ASSERT_EQ(FindFirstFreeAce(acl(), &ace), TRUE);
  EXPECT_EQ(ace, at(28 + 36));
  for (const DWORD index : {DWORD{2}, DWORD{MAXDWORD}}) {
    ExpectError(GetAce(acl(), index, &ace), ERROR_INVALID_PARAMETER);
    ExpectError(DeleteAce(acl(), index), ERROR_INVALID_PARAMETER);
  }
  ExpectError(GetAce(acl(), 0, nullptr), ERROR_NOACCESS);
  ExpectError(GetAce(nullptr, 0, &ace), ERROR_INVALID_ACL);
  ExpectError(DeleteAce(nullptr, 0), ERROR_INVALID_ACL);
  ExpectError(FindFirstFreeAce(acl(), nullptr), ERROR_NOACCESS);
  ASSERT_EQ(DeleteAce(acl(), 0), TRUE);
  EXPECT_EQ(Text(), "(A;;DC;;;S-1-5-21-1-2-3-1001)");
  ASSERT_EQ(InitializeAcl(acl(), 8, ACL_REVISION), TRUE);
  ASSERT_EQ(FindFirstFreeAce(acl(), &ace), TRUE);
  EXPECT_EQ(ace, nullptr) << "the list is full";
}

TEST_F(AclFunctionsTest, EntriesAreInsertedAsAWhole) {
  ASSERT_EQ(AddAccessAllowedAce(acl(), ACL_REVISION, 1, World()), TRUE);
  ASSERT_EQ(AddAccessAllowedAce(acl(), ACL_REVISION, 2, World()), TRUE);
  // Its own second entry in front of the first one: the list moves while it is copied.
  ASSERT_EQ(AddAce(acl(), ACL_REVISION, 0, at(28), 20), TRUE);
  EXPECT_EQ(Text(), "(A;;DC;;;WD)(A;;CC;;;WD)(A;;DC;;;WD)");
  ASSERT_EQ(AddAce(acl(), ACL_REVISION, MAXDWORD, at(8), 40), TRUE);
  EXPECT_EQ(count(), 5U);
  ExpectError(AddAce(acl(), ACL_REVISION, 6, at(8), 20), ERROR_INVALID_PARAMETER);
  for (const DWORD bytes : {DWORD{0}, DWORD{4}, DWORD{19}, DWORD{24}}) {
    ExpectError(AddAce(acl(), ACL_REVISION, 0, at(8), bytes), ERROR_INVALID_PARAMETER);
  }
  ExpectError(AddAce(acl(), ACL_REVISION, 0, nullptr, 20), ERROR_NOACCESS);
  ExpectError(AddAce(acl(), ACL_REVISION, 0, at(8), 0xFFFFFFFF), ERROR_ALLOTTED_SPACE_EXCEEDED);
  ExpectError(AddAce(nullptr, ACL_REVISION, 0, at(8), 20), ERROR_INVALID_ACL);
  ExpectError(AddAce(acl(), 7, 0, at(8), 20), ERROR_REVISION_MISMATCH);
  EXPECT_EQ(count(), 5U);
}

TEST_F(AclFunctionsTest, Information) {
  ASSERT_EQ(AddAccessAllowedAce(acl(), ACL_REVISION, 1, World()), TRUE);
  ACL_SIZE_INFORMATION size{};
  ASSERT_EQ(GetAclInformation(acl(), &size, sizeof(size), AclSizeInformation), TRUE);
  EXPECT_EQ(size.AceCount, 1U);
  EXPECT_EQ(size.AclBytesInUse, 28U);
  EXPECT_EQ(size.AclBytesFree, 512 - 28U);
  ACL_REVISION_INFORMATION revision{};
  ASSERT_EQ(GetAclInformation(acl(), &revision, sizeof(revision), AclRevisionInformation), TRUE);
  EXPECT_EQ(revision.AclRevision, DWORD{ACL_REVISION});
  ExpectError(GetAclInformation(acl(), &size, 11, AclSizeInformation), ERROR_INSUFFICIENT_BUFFER);
  ExpectError(GetAclInformation(acl(), &size, 3, AclRevisionInformation),
              ERROR_INSUFFICIENT_BUFFER);
  ExpectError(GetAclInformation(acl(), nullptr, 12, AclSizeInformation), ERROR_NOACCESS);
  ExpectError(GetAclInformation(acl(), &size, sizeof(size), static_cast<ACL_INFORMATION_CLASS>(3)),
              ERROR_INVALID_PARAMETER);
  revision.AclRevision = ACL_REVISION_DS;
  ASSERT_EQ(SetAclInformation(acl(), &revision, sizeof(revision), AclRevisionInformation), TRUE);
  EXPECT_EQ(acl()->AclRevision, ACL_REVISION_DS);
  for (const DWORD bad : {DWORD{ACL_REVISION}, DWORD{5}, DWORD{0xFFFFFF04}}) {
    revision.AclRevision = bad;
    ExpectError(SetAclInformation(acl(), &revision, sizeof(revision), AclRevisionInformation),
                ERROR_INVALID_PARAMETER);
  }
  ExpectError(SetAclInformation(acl(), &size, sizeof(size), AclSizeInformation),
              ERROR_INVALID_PARAMETER);
  ExpectError(SetAclInformation(acl(), &revision, 3, AclRevisionInformation),
              ERROR_INSUFFICIENT_BUFFER);
  ExpectError(SetAclInformation(acl(), nullptr, 4, AclRevisionInformation), ERROR_NOACCESS);
}

// Of two lists, which another thread makes of each other, with one entry that fills them. Whatever
// a function finds, it finds once.
TEST_F(AclFunctionsTest, AListWhoseSizeChangesMeanwhile) {
  alignas(8) std::array<std::byte, 28> memory{};
  auto* const list = reinterpret_cast<PACL>(memory.data());
  ASSERT_EQ(InitializeAcl(list, sizeof(memory), ACL_REVISION), TRUE);
  Sid world = security::kWorldSid;
  ASSERT_EQ(AddAccessAllowedAce(list, ACL_REVISION, 1, &world), TRUE);
  const test::Change size = {2, {28, 8}};
  EXPECT_EQ(test::RunWhileItChanges(memory, size,
                                    [&](std::byte* at) {
                                      return AddAccessAllowedAce(reinterpret_cast<PACL>(at),
                                                                 ACL_REVISION, 1, &world) == FALSE;
                                    }),
            0);
  const auto describe = [](std::byte* at) {
    ACL_SIZE_INFORMATION information{};
    const BOOL told = GetAclInformation(reinterpret_cast<PACL>(at), &information,
                                        sizeof(information), AclSizeInformation);
    return told == FALSE || (information.AceCount == 1 && information.AclBytesInUse == 28 &&
                             information.AclBytesFree == 0);
  };
  EXPECT_EQ(test::RunWhileItChanges(memory, size, describe), 0);
}

TEST_F(AclFunctionsTest, AnEntryWhoseSizeChangesMeanwhile) {
  alignas(8) std::array<std::byte, 48> memory{};
  auto* const list = reinterpret_cast<PACL>(memory.data());
  ASSERT_EQ(InitializeAcl(list, sizeof(memory), ACL_REVISION), TRUE);
  Sid world = security::kWorldSid;
  ASSERT_EQ(AddAccessAllowedAce(list, ACL_REVISION, 1, &world), TRUE);
  ASSERT_EQ(AddAccessAllowedAce(list, ACL_REVISION, 2, &world), TRUE);
  const auto work = [&memory](std::byte* at) {
    auto* const acl = reinterpret_cast<PACL>(at);
    void* found = nullptr;
    if (GetAce(acl, 1, &found) == TRUE && found != at + 28) return false;
    if (DeleteAce(acl, 0) == TRUE) std::memcpy(at, memory.data(), memory.size());
    return true;
  };
  EXPECT_EQ(test::RunWhileItChanges(memory, {8 + 2, {20, 0xFFFC}}, work), 0);
}

TEST_F(AclFunctionsTest, NeedNotBeAligned) {
  for (std::size_t offset = 1; offset < 8; ++offset) {
    auto* const list = reinterpret_cast<PACL>(at(offset));
    ASSERT_EQ(InitializeAcl(list, 100, ACL_REVISION), TRUE);
    ASSERT_EQ(AddAccessAllowedAce(list, ACL_REVISION, 1, World()), TRUE);
    EXPECT_EQ(IsValidAcl(list), TRUE);
    void* ace = nullptr;
    ASSERT_EQ(GetAce(list, 0, &ace), TRUE);
    EXPECT_EQ(ace, at(offset + 8));
  }
}

}  // namespace
}  // namespace ktlsim::authorization
