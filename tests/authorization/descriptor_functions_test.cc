// Security descriptors through the C API: their parts, the two forms, and their text.
#include <sys/mman.h>

#include <array>
#include <cstring>
#include <string>
#include <vector>

#include "kernel_sim/authorization/local_memory.h"
#include "tests/authorization/authorization_test_support.h"

namespace ktlsim::authorization {
namespace {

using security::Sid;

class DescriptorFunctionsTest : public AuthorizationTest {
 protected:
  DescriptorFunctionsTest() {
    EXPECT_EQ(InitializeSecurityDescriptor(&descriptor_, SECURITY_DESCRIPTOR_REVISION), TRUE);
    EXPECT_EQ(InitializeAcl(dacl(), sizeof(memory_), ACL_REVISION), TRUE);
  }
  ~DescriptorFunctionsTest() override { EXPECT_EQ(LocalBlocksLive(), blocks_); }

  PACL dacl() { return reinterpret_cast<PACL>(memory_.data()); }
  static PSID World() { return const_cast<Sid*>(&security::kWorldSid); }
  static PSID Administrators() { return const_cast<Sid*>(&security::kAdministratorsSid); }

  // All of it.
  static constexpr SECURITY_INFORMATION kEverything =
      OWNER_SECURITY_INFORMATION | GROUP_SECURITY_INFORMATION | DACL_SECURITY_INFORMATION |
      SACL_SECURITY_INFORMATION;
  static std::string TextOf(PSECURITY_DESCRIPTOR descriptor,
                            SECURITY_INFORMATION which = kEverything) {
    LPSTR text = nullptr;
    ULONG units = 0;
    EXPECT_EQ(ConvertSecurityDescriptorToStringSecurityDescriptorA(descriptor, SDDL_REVISION_1,
                                                                   which, &text, &units),
              TRUE);
    std::string copy = text != nullptr ? text : "";
    EXPECT_EQ(units, copy.size() + 1) << "the null at the end counts";
    EXPECT_EQ(LocalFree(text), nullptr);
    return copy;
  }
  // Of exactly its bytes.
  static std::vector<std::byte> Parse(const char* text) {
    PSECURITY_DESCRIPTOR descriptor = nullptr;
    ULONG bytes = 0;
    EXPECT_EQ(ConvertStringSecurityDescriptorToSecurityDescriptorA(text, SDDL_REVISION_1,
                                                                   &descriptor, &bytes),
              TRUE)
        << text;
    const auto* const from = static_cast<const std::byte*>(descriptor);
    std::vector<std::byte> copy(from, from + bytes);
    EXPECT_EQ(LocalFree(descriptor), nullptr);
    return copy;
  }

  SECURITY_DESCRIPTOR descriptor_{};
  alignas(8) std::array<std::byte, 256> memory_{};

 private:
  const std::size_t blocks_ = LocalBlocksLive();
};

TEST_F(DescriptorFunctionsTest, BeginsWithNothing) {
  EXPECT_EQ(descriptor_.Control, 0);
  EXPECT_EQ(IsValidSecurityDescriptor(&descriptor_), TRUE);
  EXPECT_EQ(GetSecurityDescriptorLength(&descriptor_), 20U) << "of the self-relative form";
  EXPECT_EQ(TextOf(&descriptor_), "");
  PSID owner = World();
  BOOL defaulted = 77;
  BOOL present = 77;
  PACL list = dacl();
  ASSERT_EQ(GetSecurityDescriptorOwner(&descriptor_, &owner, &defaulted), TRUE);
  EXPECT_EQ(owner, nullptr);
  EXPECT_EQ(defaulted, FALSE);
  defaulted = 77;
  ASSERT_EQ(GetSecurityDescriptorDacl(&descriptor_, &present, &list, &defaulted), TRUE);
  EXPECT_EQ(present, FALSE);
  EXPECT_EQ(list, dacl()) << "not set";
  EXPECT_EQ(defaulted, 77) << "not set";
  ExpectError(InitializeSecurityDescriptor(&descriptor_, 2), ERROR_UNKNOWN_REVISION);
  ExpectError(InitializeSecurityDescriptor(nullptr, 1), ERROR_NOACCESS);
}

TEST_F(DescriptorFunctionsTest, PartsAreReferredTo) {
  ASSERT_EQ(SetSecurityDescriptorOwner(&descriptor_, Administrators(), TRUE), TRUE);
  ASSERT_EQ(SetSecurityDescriptorGroup(&descriptor_, World(), FALSE), TRUE);
  ASSERT_EQ(SetSecurityDescriptorDacl(&descriptor_, TRUE, dacl(), TRUE), TRUE);
  ASSERT_EQ(SetSecurityDescriptorSacl(&descriptor_, TRUE, nullptr, FALSE), TRUE);
  EXPECT_EQ(descriptor_.Control,
            SE_OWNER_DEFAULTED | SE_DACL_PRESENT | SE_DACL_DEFAULTED | SE_SACL_PRESENT);
  ASSERT_EQ(AddAccessAllowedAce(dacl(), ACL_REVISION, 1, World()), TRUE);
  EXPECT_EQ(TextOf(&descriptor_), "O:BAG:WDD:(A;;CC;;;WD)S:NO_ACCESS_CONTROL");
  EXPECT_EQ(TextOf(&descriptor_, GROUP_SECURITY_INFORMATION), "G:WD");
  PSID owner = nullptr;
  PSID group = nullptr;
  PACL list = nullptr;
  BOOL defaulted = FALSE;
  BOOL present = FALSE;
  ASSERT_EQ(GetSecurityDescriptorOwner(&descriptor_, &owner, &defaulted), TRUE);
  EXPECT_EQ(owner, Administrators());
  EXPECT_EQ(defaulted, TRUE);
  ASSERT_EQ(GetSecurityDescriptorGroup(&descriptor_, &group, &defaulted), TRUE);
  EXPECT_EQ(group, World());
  EXPECT_EQ(defaulted, FALSE);
  ASSERT_EQ(GetSecurityDescriptorDacl(&descriptor_, &present, &list, &defaulted), TRUE);
  EXPECT_EQ(list, dacl());
  EXPECT_EQ(present, TRUE);
  EXPECT_EQ(defaulted, TRUE);
  ASSERT_EQ(GetSecurityDescriptorSacl(&descriptor_, &present, &list, &defaulted), TRUE);
  EXPECT_EQ(list, nullptr) << "a NULL list that is present";
  EXPECT_EQ(present, TRUE);
  ASSERT_EQ(SetSecurityDescriptorDacl(&descriptor_, FALSE, nullptr, FALSE), TRUE);
  EXPECT_EQ(descriptor_.Control & SE_DACL_PRESENT, 0);
  EXPECT_EQ(TextOf(&descriptor_, DACL_SECURITY_INFORMATION), "");
}

TEST_F(DescriptorFunctionsTest, ControlBits) {
  constexpr SECURITY_DESCRIPTOR_CONTROL kProtected = SE_DACL_PROTECTED;
  ASSERT_EQ(SetSecurityDescriptorControl(&descriptor_, kProtected, kProtected), TRUE);
  SECURITY_DESCRIPTOR_CONTROL control = 0;
  DWORD revision = 0;
  ASSERT_EQ(GetSecurityDescriptorControl(&descriptor_, &control, &revision), TRUE);
  EXPECT_EQ(control, kProtected);
  EXPECT_EQ(revision, 1U);
  for (const int bits : {SE_DACL_PRESENT, SE_SELF_RELATIVE, SE_OWNER_DEFAULTED, SE_RM_CONTROL_VALID,
                         SE_SACL_DEFAULTED}) {
    const auto bad = static_cast<SECURITY_DESCRIPTOR_CONTROL>(bits);
    ExpectError(SetSecurityDescriptorControl(&descriptor_, bad, 0), ERROR_INVALID_PARAMETER);
  }
  ExpectError(SetSecurityDescriptorControl(&descriptor_, 0, kProtected), ERROR_INVALID_PARAMETER);
  ASSERT_EQ(SetSecurityDescriptorControl(&descriptor_, kProtected, 0), TRUE);
  EXPECT_EQ(descriptor_.Control, 0);
  UCHAR manager = 7;
  EXPECT_EQ(GetSecurityDescriptorRMControl(&descriptor_, &manager), DWORD{ERROR_INVALID_DATA});
  EXPECT_EQ(manager, 0);
  manager = 9;
  EXPECT_EQ(SetSecurityDescriptorRMControl(&descriptor_, &manager), DWORD{ERROR_SUCCESS});
  manager = 0;
  EXPECT_EQ(GetSecurityDescriptorRMControl(&descriptor_, &manager), DWORD{ERROR_SUCCESS});
  EXPECT_EQ(manager, 9);
  EXPECT_EQ(SetSecurityDescriptorRMControl(&descriptor_, nullptr), DWORD{ERROR_SUCCESS});
  EXPECT_EQ(descriptor_.Control, 0);
  EXPECT_EQ(GetSecurityDescriptorRMControl(&descriptor_, nullptr), DWORD{ERROR_NOACCESS});
  EXPECT_EQ(SetSecurityDescriptorRMControl(nullptr, &manager), DWORD{ERROR_NOACCESS});
  EXPECT_EQ(GetLastError(), 0U) << "these return their error";
}

TEST_F(DescriptorFunctionsTest, OfTheOtherFormAreNotChanged) {
  std::vector<std::byte> relative = Parse("O:BAG:WDD:S:(AU;SA;CC;;;WD)");
  const std::vector<std::byte> before = relative;
  void* const descriptor = relative.data();
  ExpectError(SetSecurityDescriptorOwner(descriptor, World(), FALSE), ERROR_INVALID_SECURITY_DESCR);
  ExpectError(SetSecurityDescriptorGroup(descriptor, World(), FALSE), ERROR_INVALID_SECURITY_DESCR);
  ExpectError(SetSecurityDescriptorDacl(descriptor, TRUE, dacl(), FALSE),
              ERROR_INVALID_SECURITY_DESCR);
  ExpectError(SetSecurityDescriptorSacl(descriptor, TRUE, dacl(), FALSE),
              ERROR_INVALID_SECURITY_DESCR);
  ExpectError(SetSecurityDescriptorControl(descriptor, SE_DACL_PROTECTED, 0),
              ERROR_INVALID_SECURITY_DESCR);
  EXPECT_EQ(relative, before);
  // Their parts are found all the same.
  PSID owner = nullptr;
  PACL list = nullptr;
  BOOL flag = FALSE;
  BOOL present = FALSE;
  ASSERT_EQ(GetSecurityDescriptorOwner(descriptor, &owner, &flag), TRUE);
  EXPECT_EQ(EqualSid(owner, Administrators()), TRUE);
  EXPECT_TRUE(owner >= descriptor && owner < relative.data() + relative.size());
  ASSERT_EQ(GetSecurityDescriptorSacl(descriptor, &present, &list, &flag), TRUE);
  EXPECT_EQ(list->AceCount, 1);
  EXPECT_EQ(GetSecurityDescriptorLength(descriptor), relative.size());
}

TEST_F(DescriptorFunctionsTest, TheManagersByteOfBothForms) {
  std::vector<std::byte> relative = Parse("O:BAG:WD");
  std::vector<std::byte> wanted = relative;
  wanted[1] = std::byte{9};
  wanted[3] |= std::byte{SE_RM_CONTROL_VALID >> 8};
  UCHAR manager = 9;
  EXPECT_EQ(SetSecurityDescriptorRMControl(relative.data(), &manager), DWORD{ERROR_SUCCESS});
  EXPECT_EQ(relative, wanted);
  EXPECT_EQ(SetSecurityDescriptorRMControl(relative.data(), nullptr), DWORD{ERROR_SUCCESS});
  EXPECT_EQ(relative, Parse("O:BAG:WD"));
}

// The addresses lie in memory that cannot be written.
TEST_F(DescriptorFunctionsTest, WhatDoesNotChangeIsNotStored) {
  constexpr std::size_t kPage = 4096;
  void* const pages =
      mmap(nullptr, 2 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(pages, MAP_FAILED);
  std::byte* const descriptor = static_cast<std::byte*>(pages) + kPage - 8;
  EXPECT_EQ(InitializeSecurityDescriptor(descriptor, SECURITY_DESCRIPTOR_REVISION), TRUE);
  ASSERT_EQ(mprotect(descriptor + 8, kPage, PROT_READ), 0);
  UCHAR manager = 9;
  EXPECT_EQ(SetSecurityDescriptorControl(descriptor, SE_DACL_PROTECTED, SE_DACL_PROTECTED), TRUE);
  EXPECT_EQ(SetSecurityDescriptorDacl(descriptor, FALSE, nullptr, FALSE), TRUE);
  EXPECT_EQ(SetSecurityDescriptorRMControl(descriptor, &manager), DWORD{ERROR_SUCCESS});
  EXPECT_EQ(descriptor[1], std::byte{9});
  EXPECT_EQ(munmap(pages, 2 * kPage), 0);
}

TEST_F(DescriptorFunctionsTest, WrongArguments) {
  PSID owner = nullptr;
  PACL list = nullptr;
  BOOL flag = FALSE;
  DWORD revision = 0;
  SECURITY_DESCRIPTOR_CONTROL control = 0;
  ExpectError(GetSecurityDescriptorOwner(&descriptor_, nullptr, &flag), ERROR_NOACCESS);
  ExpectError(GetSecurityDescriptorOwner(&descriptor_, &owner, nullptr), ERROR_NOACCESS);
  ExpectError(GetSecurityDescriptorGroup(nullptr, &owner, &flag), ERROR_NOACCESS);
  ExpectError(GetSecurityDescriptorDacl(&descriptor_, nullptr, &list, &flag), ERROR_NOACCESS);
  ExpectError(GetSecurityDescriptorDacl(&descriptor_, &flag, nullptr, &flag), ERROR_NOACCESS);
  ExpectError(GetSecurityDescriptorSacl(&descriptor_, &flag, &list, nullptr), ERROR_NOACCESS);
  ExpectError(GetSecurityDescriptorControl(&descriptor_, nullptr, &revision), ERROR_NOACCESS);
  ExpectError(GetSecurityDescriptorControl(&descriptor_, &control, nullptr), ERROR_NOACCESS);
  ExpectError(SetSecurityDescriptorOwner(nullptr, World(), FALSE), ERROR_NOACCESS);
  EXPECT_EQ(IsValidSecurityDescriptor(nullptr), FALSE);
  EXPECT_EQ(GetSecurityDescriptorLength(nullptr), 0U);
  SetLastError(0);
  descriptor_.Revision = 2;
  EXPECT_EQ(IsValidSecurityDescriptor(&descriptor_), FALSE);
  EXPECT_EQ(GetLastError(), 0U);
  ExpectError(SetSecurityDescriptorOwner(&descriptor_, World(), FALSE), ERROR_UNKNOWN_REVISION);
  ExpectError(GetSecurityDescriptorOwner(&descriptor_, &owner, &flag), ERROR_UNKNOWN_REVISION);
  ExpectError(GetSecurityDescriptorControl(&descriptor_, &control, &revision),
              ERROR_UNKNOWN_REVISION);
}

// What lies behind the parts of an absolute one is judged as well.
TEST_F(DescriptorFunctionsTest, PartsThatLie) {
  std::array<std::byte, 8> endless = {std::byte{1}, std::byte{255}};
  ASSERT_EQ(SetSecurityDescriptorOwner(&descriptor_, endless.data(), FALSE), TRUE);
  EXPECT_EQ(IsValidSecurityDescriptor(&descriptor_), FALSE);
  DWORD bytes = 0;
  ExpectError(MakeSelfRelativeSD(&descriptor_, nullptr, &bytes), ERROR_INVALID_SID);
  EXPECT_EQ(bytes, 0U);
  ASSERT_EQ(SetSecurityDescriptorOwner(&descriptor_, nullptr, FALSE), TRUE);
  memory_[4] = std::byte{7};  // entries that are not there
  ASSERT_EQ(SetSecurityDescriptorDacl(&descriptor_, TRUE, dacl(), FALSE), TRUE);
  EXPECT_EQ(IsValidSecurityDescriptor(&descriptor_), FALSE);
  ExpectError(MakeSelfRelativeSD(&descriptor_, nullptr, &bytes), ERROR_INVALID_ACL);
  LPSTR text = nullptr;
  ExpectError(ConvertSecurityDescriptorToStringSecurityDescriptorA(&descriptor_, SDDL_REVISION_1,
                                                                   kEverything, &text, nullptr),
              ERROR_INVALID_ACL);
  EXPECT_EQ(GetSecurityDescriptorLength(&descriptor_), 0U);
}

TEST_F(DescriptorFunctionsTest, OffsetsThatLeadElsewhere) {
  for (const DWORD offset : {DWORD{1}, DWORD{4}, DWORD{19}, DWORD{21}, DWORD{0xFFFFFFFF}}) {
    std::vector<std::byte> relative = Parse("O:BAG:WD");
    std::memcpy(relative.data() + 4, &offset, sizeof(offset));
    EXPECT_EQ(IsValidSecurityDescriptor(relative.data()), FALSE) << offset;
    std::array<DWORD, 5> sizes{};
    ExpectError(MakeAbsoluteSD(relative.data(), nullptr, sizes.data(), nullptr, &sizes[1], nullptr,
                               &sizes[2], nullptr, &sizes[3], nullptr, &sizes[4]),
                ERROR_INVALID_SECURITY_DESCR);
    EXPECT_EQ(sizes[0], 0U);
  }
}

TEST_F(DescriptorFunctionsTest, FromAbsoluteToSelfRelative) {
  ASSERT_EQ(AddAccessAllowedAce(dacl(), ACL_REVISION, 1, World()), TRUE);
  ASSERT_EQ(SetSecurityDescriptorOwner(&descriptor_, Administrators(), FALSE), TRUE);
  ASSERT_EQ(SetSecurityDescriptorDacl(&descriptor_, TRUE, dacl(), FALSE), TRUE);
  DWORD bytes = 0;
  ExpectError(MakeSelfRelativeSD(&descriptor_, nullptr, &bytes), ERROR_INSUFFICIENT_BUFFER);
  EXPECT_EQ(bytes, 20 + 256 + 16U) << "lists keep their room";
  ExpectError(MakeSelfRelativeSD(&descriptor_, nullptr, &bytes), ERROR_NOACCESS);
  std::vector<std::byte> relative(bytes);
  ASSERT_EQ(MakeSelfRelativeSD(&descriptor_, relative.data(), &bytes), TRUE);
  EXPECT_EQ(TextOf(relative.data()), "O:BAD:(A;;CC;;;WD)");
  ExpectError(MakeSelfRelativeSD(relative.data(), relative.data(), &bytes),
              ERROR_BAD_DESCRIPTOR_FORMAT);
  ExpectError(MakeSelfRelativeSD(&descriptor_, relative.data(), nullptr), ERROR_NOACCESS);
  ExpectError(MakeSelfRelativeSD(nullptr, relative.data(), &bytes), ERROR_NOACCESS);
  // Onto the absolute one itself.
  std::vector<std::byte> both(bytes + 8);
  std::memcpy(both.data() + 8, &descriptor_, sizeof(descriptor_));
  ASSERT_EQ(MakeSelfRelativeSD(both.data() + 8, both.data(), &bytes), TRUE);
  EXPECT_EQ(TextOf(both.data()), "O:BAD:(A;;CC;;;WD)");
}

TEST_F(DescriptorFunctionsTest, FromSelfRelativeToAbsolute) {
  std::vector<std::byte> relative = Parse("O:BAG:WDD:P(A;;CC;;;WD)S:(AU;SA;CC;;;WD)");
  std::array<DWORD, 5> sizes = {39, 28, 100, 15, 12};
  struct Parts {
    SECURITY_DESCRIPTOR descriptor;
    std::array<std::byte, 28> dacl;
    std::array<std::byte, 28> sacl;
    std::array<std::byte, 16> owner;
    std::array<std::byte, 12> group;
  } parts{};
  const auto make = [&](PSECURITY_DESCRIPTOR from) {
    return MakeAbsoluteSD(from, &parts.descriptor, sizes.data(),
                          reinterpret_cast<PACL>(parts.dacl.data()), &sizes[1],
                          reinterpret_cast<PACL>(parts.sacl.data()), &sizes[2], parts.owner.data(),
                          &sizes[3], parts.group.data(), &sizes[4]);
  };
  ExpectError(make(relative.data()), ERROR_INSUFFICIENT_BUFFER);
  EXPECT_EQ(sizes, (std::array<DWORD, 5>{40, 28, 28, 16, 12})) << "all of them are told";
  EXPECT_EQ(parts.descriptor.Revision, 0) << "and nothing is stored";
  EXPECT_EQ(parts.group[0], std::byte{0});
  ASSERT_EQ(make(relative.data()), TRUE);
  EXPECT_EQ(parts.descriptor.Control, SE_DACL_PRESENT | SE_DACL_PROTECTED | SE_SACL_PRESENT);
  EXPECT_EQ(parts.descriptor.Owner, parts.owner.data());
  relative.clear();
  EXPECT_EQ(TextOf(&parts.descriptor), "O:BAG:WDD:P(A;;CC;;;WD)S:(AU;SA;CC;;;WD)");
  ExpectError(make(&parts.descriptor), ERROR_BAD_DESCRIPTOR_FORMAT);
  // Parts that are not there need no place.
  std::vector<std::byte> little = Parse("D:NO_ACCESS_CONTROL");
  std::array<DWORD, 5> none = {40, 0, 0, 0, 0};
  ASSERT_EQ(MakeAbsoluteSD(little.data(), &parts.descriptor, none.data(), nullptr, &none[1],
                           nullptr, &none[2], nullptr, &none[3], nullptr, &none[4]),
            TRUE);
  EXPECT_EQ(parts.descriptor.Dacl, nullptr);
  EXPECT_EQ(parts.descriptor.Control, SE_DACL_PRESENT);
  std::vector<std::byte> owned = Parse("O:BA");
  sizes = {40, 0, 0, 16, 0};
  ExpectError(MakeAbsoluteSD(owned.data(), &parts.descriptor, sizes.data(), nullptr, &sizes[1],
                             nullptr, &sizes[2], nullptr, &sizes[3], nullptr, &sizes[4]),
              ERROR_NOACCESS);
  ExpectError(MakeAbsoluteSD(owned.data(), &parts.descriptor, sizes.data(), nullptr, &sizes[1],
                             nullptr, nullptr, nullptr, &sizes[3], nullptr, &sizes[4]),
              ERROR_NOACCESS);
}

TEST_F(DescriptorFunctionsTest, TextsThatAreNone) {
  PSECURITY_DESCRIPTOR descriptor = &descriptor_;
  struct Case {
    const char* text;
    DWORD error;
  };
  for (const Case& one :
       {Case{"X:BA", ERROR_INVALID_PARAMETER}, Case{"O:XX", ERROR_INVALID_SID},
        Case{"D:(A;;ZZ;;;WD)", ERROR_INVALID_ACL}, Case{"D:(Q;;CC;;;WD)", ERROR_INVALID_ACL},
        Case{"D:(A;;CC;;;XX)", ERROR_INVALID_ACL}, Case{"D:(XA;;CC;;;WD;(a))", ERROR_NOT_SUPPORTED},
        Case{"O:DA", ERROR_NONE_MAPPED}, Case{"O:BA\xff", ERROR_INVALID_PARAMETER}}) {
    descriptor = &descriptor_;
    ULONG bytes = 7;
    ExpectError(ConvertStringSecurityDescriptorToSecurityDescriptorA(one.text, SDDL_REVISION_1,
                                                                     &descriptor, &bytes),
                one.error);
    EXPECT_EQ(descriptor, nullptr) << one.text;
    EXPECT_EQ(bytes, 7U);
  }
  ExpectError(ConvertStringSecurityDescriptorToSecurityDescriptorA("O:BA", 2, &descriptor, nullptr),
              ERROR_UNKNOWN_REVISION);
  ExpectError(ConvertStringSecurityDescriptorToSecurityDescriptorA(nullptr, SDDL_REVISION_1,
                                                                   &descriptor, nullptr),
              ERROR_INVALID_PARAMETER);
  ExpectError(ConvertStringSecurityDescriptorToSecurityDescriptorW(nullptr, SDDL_REVISION_1,
                                                                   &descriptor, nullptr),
              ERROR_INVALID_PARAMETER);
  ExpectError(ConvertStringSecurityDescriptorToSecurityDescriptorA("O:BA", SDDL_REVISION_1, nullptr,
                                                                   nullptr),
              ERROR_INVALID_PARAMETER);
  LPSTR text = nullptr;
  ExpectError(ConvertSecurityDescriptorToStringSecurityDescriptorA(&descriptor_, 2, kEverything,
                                                                   &text, nullptr),
              ERROR_UNKNOWN_REVISION);
  ExpectError(ConvertSecurityDescriptorToStringSecurityDescriptorA(nullptr, SDDL_REVISION_1,
                                                                   kEverything, &text, nullptr),
              ERROR_INVALID_PARAMETER);
  ExpectError(ConvertSecurityDescriptorToStringSecurityDescriptorA(&descriptor_, SDDL_REVISION_1,
                                                                   kEverything, nullptr, nullptr),
              ERROR_INVALID_PARAMETER);
}

TEST_F(DescriptorFunctionsTest, WideTextAndWideLengths) {
  PSECURITY_DESCRIPTOR descriptor = nullptr;
  unsigned long bytes = ~0UL;
  const WCHAR* const text = u"O:BAD:(A;;CC;;;WD)";
  ASSERT_EQ(ConvertStringSecurityDescriptorToSecurityDescriptorW(text, SDDL_REVISION_1, &descriptor,
                                                                 &bytes),
            TRUE);
  EXPECT_EQ(bytes, 20 + 28 + 16U);
  LPWSTR back = nullptr;
  unsigned long units = ~0UL;
  ASSERT_EQ(ConvertSecurityDescriptorToStringSecurityDescriptorW(descriptor, SDDL_REVISION_1,
                                                                 kEverything, &back, &units),
            TRUE);
  EXPECT_EQ(std::u16string(back), text);
  EXPECT_EQ(units, 19U);
  EXPECT_EQ(LocalFree(back), nullptr);
  EXPECT_EQ(LocalFree(descriptor), nullptr);
}

}  // namespace
}  // namespace ktlsim::authorization
