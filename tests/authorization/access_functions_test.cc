// AccessCheck through the C API: its preconditions in their order, and how it ends.
#include <array>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kernel_sim/security/sddl.h"
#include "tests/authorization/authorization_test_support.h"
#include "tests/authorization/changing_memory.h"

namespace ktlsim::authorization {
namespace {

using security::Privilege;

class AccessFunctionsTest : public AuthorizationTest {
 protected:
  static std::vector<std::byte> DescriptorOf(std::string_view text) {
    std::optional<security::Descriptor> descriptor;
    EXPECT_EQ(security::ParseSddl(text, std::nullopt, &descriptor).fault, security::Fault::kNone);
    const auto image = descriptor->image();
    return {image.begin(), image.end()};
  }

  BOOL Check(const std::vector<std::byte>& descriptor, HANDLE token, DWORD desired) {
    length_ = sizeof(privileges_);
    return AccessCheck(const_cast<std::byte*>(descriptor.data()), token, desired, &mapping_,
                       reinterpret_cast<PPRIVILEGE_SET>(&privileges_), &length_, &granted_,
                       &status_);
  }

  GENERIC_MAPPING mapping_ = {1, 2, 4, 7};
  std::array<std::uint32_t, 32> privileges_{};
  DWORD length_ = 0;
  DWORD granted_ = 77;
  BOOL status_ = 77;
};

TEST_F(AccessFunctionsTest, AllowsAndDenies) {
  const auto descriptor = DescriptorOf("O:BAG:BAD:(A;;0x3;;;S-1-5-21-1-2-3-1001)");
  const TestHandle client(MakeClient());
  SetLastError(17);
  ASSERT_EQ(Check(descriptor, client.get(), 1), TRUE);
  EXPECT_EQ(status_, TRUE);
  EXPECT_EQ(granted_, 1U);
  EXPECT_EQ(GetLastError(), 17U) << "granted: it stays as it was";
  ASSERT_EQ(Check(descriptor, client.get(), MAXIMUM_ALLOWED), TRUE);
  EXPECT_EQ(granted_, 3U);
  ASSERT_EQ(Check(descriptor, client.get(), 5), TRUE);
  EXPECT_EQ(status_, FALSE);
  EXPECT_EQ(granted_, 0U);
  EXPECT_EQ(GetLastError(), DWORD{ERROR_ACCESS_DENIED});
  ASSERT_EQ(Check(descriptor, client.get(), ACCESS_SYSTEM_SECURITY), TRUE);
  EXPECT_EQ(status_, FALSE);
  EXPECT_EQ(GetLastError(), DWORD{ERROR_PRIVILEGE_NOT_HELD});
}

TEST_F(AccessFunctionsTest, SaysWhichPrivilegesWereUsed) {
  const auto descriptor = DescriptorOf("O:BAG:BAD:");
  const TestHandle client(
      MakeClient({.privileges = {.held = {Privilege::kSecurity, Privilege::kTakeOwnership},
                                 .enabled = {Privilege::kSecurity, Privilege::kTakeOwnership}}}));
  ASSERT_EQ(Check(descriptor, client.get(), ACCESS_SYSTEM_SECURITY | WRITE_OWNER), TRUE);
  EXPECT_EQ(status_, TRUE);
  EXPECT_EQ(privileges_[0], 2U);
  EXPECT_EQ(privileges_[2], 8U);
  EXPECT_EQ(privileges_[4], DWORD{SE_PRIVILEGE_USED_FOR_ACCESS});
  EXPECT_EQ(privileges_[5], 9U);
  // 8 bytes and 12 for each; at least the whole structure.
  granted_ = 77;
  length_ = 31;
  ExpectError(
      AccessCheck(const_cast<std::byte*>(descriptor.data()), client.get(),
                  ACCESS_SYSTEM_SECURITY | WRITE_OWNER, &mapping_,
                  reinterpret_cast<PPRIVILEGE_SET>(&privileges_), &length_, &granted_, &status_),
      ERROR_INSUFFICIENT_BUFFER);
  EXPECT_EQ(length_, 32U);
  EXPECT_EQ(granted_, 77U);
  length_ = 0;
  ExpectError(
      AccessCheck(const_cast<std::byte*>(descriptor.data()), client.get(), 0, &mapping_,
                  reinterpret_cast<PPRIVILEGE_SET>(&privileges_), &length_, &granted_, &status_),
      ERROR_INSUFFICIENT_BUFFER);
  EXPECT_EQ(length_, 20U);
}

TEST_F(AccessFunctionsTest, PreconditionsInTheirOrder) {
  const auto good = DescriptorOf("O:BAG:BAD:");
  const auto ownerless = DescriptorOf("G:BAD:");
  const TestHandle client(MakeClient());
  const TestHandle primary(MakeClient({.type = security::TokenType::kPrimary}));
  const TestHandle anonymous(MakeClient({.level = security::ImpersonationLevel::kAnonymous}));
  const TestHandle identified(MakeClient({.level = security::ImpersonationLevel::kIdentification}));
  const TestHandle blind(MakeClient(), TOKEN_IMPERSONATE);
  ExpectError(Check(ownerless, nullptr, GENERIC_READ), ERROR_INVALID_HANDLE);
  ExpectError(Check(ownerless, blind.get(), GENERIC_READ), ERROR_ACCESS_DENIED);
  ExpectError(Check(ownerless, primary.get(), GENERIC_READ), ERROR_NO_IMPERSONATION_TOKEN);
  ExpectError(Check(ownerless, anonymous.get(), GENERIC_READ), ERROR_BAD_IMPERSONATION_LEVEL);
  ExpectError(Check(ownerless, client.get(), GENERIC_READ), ERROR_GENERIC_NOT_MAPPED);
  ExpectError(Check(ownerless, client.get(), 1), ERROR_INVALID_SECURITY_DESCR);
  EXPECT_EQ(granted_, 77U) << "when it fails nothing is stored";
  EXPECT_EQ(status_, 77);
  EXPECT_EQ(Check(good, identified.get(), 1), TRUE) << "it may be checked, not act";
  auto* const set = reinterpret_cast<PPRIVILEGE_SET>(&privileges_);
  auto* const descriptor = const_cast<std::byte*>(good.data());
  DWORD* const no_number = nullptr;
  ExpectError(
      AccessCheck(descriptor, nullptr, 1, &mapping_, nullptr, &length_, &granted_, &status_),
      ERROR_NOACCESS);
  ExpectError(AccessCheck(descriptor, nullptr, 1, &mapping_, set, no_number, &granted_, &status_),
              ERROR_NOACCESS);
  ExpectError(
      AccessCheck(descriptor, client.get(), 1, &mapping_, set, &length_, no_number, &status_),
      ERROR_NOACCESS);
  ExpectError(
      AccessCheck(descriptor, client.get(), 1, &mapping_, set, &length_, &granted_, nullptr),
      ERROR_NOACCESS);
  ExpectError(AccessCheck(descriptor, client.get(), 1, nullptr, set, &length_, &granted_, &status_),
              ERROR_NOACCESS);
  ExpectError(AccessCheck(nullptr, client.get(), 1, &mapping_, set, &length_, &granted_, &status_),
              ERROR_NOACCESS);
}

// The first entry's size becomes one that leads far behind the list, and back again.
TEST_F(AccessFunctionsTest, ADescriptorThatChangesMeanwhile) {
  std::string text = "O:BAG:BAD:";
  for (int i = 0; i < 64; ++i) text += "(A;;0x2;;;WD)";
  const auto descriptor = DescriptorOf(text);
  DWORD offset = 0;
  std::memcpy(&offset, descriptor.data() + 16, sizeof(offset));
  const TestHandle client(MakeClient());
  const auto check = [&](std::byte* at) {
    length_ = sizeof(privileges_);
    const BOOL checked =
        AccessCheck(at, client.get(), 1, &mapping_, reinterpret_cast<PPRIVILEGE_SET>(&privileges_),
                    &length_, &granted_, &status_);
    return checked == TRUE ? status_ == FALSE : GetLastError() == ERROR_INVALID_ACL;
  };
  EXPECT_EQ(test::RunWhileItChanges(descriptor, {offset + 8 + 2, {20, 0xFFFC}}, check), 0);
}

// A list that is too long for the room that is there for most.
TEST_F(AccessFunctionsTest, ADescriptorWithALongList) {
  std::string text = "O:BAG:BAD:";
  for (int i = 0; i < 200; ++i) text += "(D;;0x2;;;WD)";
  const auto descriptor = DescriptorOf(text + "(A;;0x1;;;S-1-5-21-1-2-3-1001)");
  const TestHandle client(MakeClient());
  ASSERT_EQ(Check(descriptor, client.get(), 1), TRUE);
  EXPECT_EQ(status_, TRUE);
}

TEST_F(AccessFunctionsTest, GenericRightsAreMapped) {
  DWORD mask = GENERIC_READ | GENERIC_EXECUTE | 0x100;
  MapGenericMask(&mask, &mapping_);
  EXPECT_EQ(mask, 0x105U);
  MapGenericMask(nullptr, &mapping_);
  MapGenericMask(&mask, nullptr);
  EXPECT_EQ(mask, 0x105U);
}

// An object, a set of properties in it with two properties, and a property of its own.
class AccessTypesTest : public AccessFunctionsTest {
 protected:
  static constexpr DWORD kTypes = 5;

  AccessTypesTest() {
    for (std::size_t i = 0; i < kTypes; ++i) {
      guids_[i] = {static_cast<ULONG>(i + 1), 0, 0, {}};
      types_[i] = {kLevels[i], 0, &guids_[i]};
    }
  }

  BOOL CheckTypes(const std::vector<std::byte>& descriptor, HANDLE token, DWORD desired,
                  PSID self = nullptr) {
    length_ = sizeof(privileges_);
    return AccessCheckByType(
        const_cast<std::byte*>(descriptor.data()), self, token, desired, types_.data(), count_,
        &mapping_, reinterpret_cast<PPRIVILEGE_SET>(&privileges_), &length_, &granted_, &status_);
  }
  BOOL CheckEach(const std::vector<std::byte>& descriptor, HANDLE token, DWORD desired) {
    length_ = sizeof(privileges_);
    return AccessCheckByTypeResultList(const_cast<std::byte*>(descriptor.data()), nullptr, token,
                                       desired, types_.data(), count_, &mapping_,
                                       reinterpret_cast<PPRIVILEGE_SET>(&privileges_), &length_,
                                       each_granted_.data(), each_status_.data());
  }

  static constexpr std::array<WORD, kTypes> kLevels = {0, 1, 2, 2, 1};
  std::array<GUID, kTypes> guids_{};
  std::array<OBJECT_TYPE_LIST, kTypes> types_{};
  DWORD count_ = kTypes;
  std::array<DWORD, kTypes> each_granted_ = {77, 77, 77, 77, 77};
  std::array<DWORD, kTypes> each_status_ = {77, 77, 77, 77, 77};
};

TEST_F(AccessTypesTest, AnEntryCountsForItsTypeAndAllBelow) {
  const auto descriptor = DescriptorOf(
      "O:BAG:BAD:(OA;;0x1;00000002-0000-0000-0000-000000000000;;S-1-5-21-1-2-3-1001)"
      "(A;;0x2;;;S-1-5-21-1-2-3-1001)");
  const TestHandle client(MakeClient());
  SetLastError(17);
  ASSERT_EQ(CheckEach(descriptor, client.get(), 1), TRUE);
  EXPECT_EQ(each_granted_, (std::array<DWORD, 5>{0, 1, 1, 1, 0}));
  EXPECT_EQ(each_status_, (std::array<DWORD, 5>{5, 0, 0, 0, 5})) << "error numbers";
  EXPECT_EQ(GetLastError(), 17U);
  ASSERT_EQ(CheckTypes(descriptor, client.get(), 2), TRUE);
  EXPECT_EQ(status_, TRUE) << "an entry without a type is for the whole object";
  EXPECT_EQ(granted_, 2U);
  ASSERT_EQ(CheckTypes(descriptor, client.get(), 1), TRUE);
  EXPECT_EQ(status_, FALSE);
  EXPECT_EQ(GetLastError(), DWORD{ERROR_ACCESS_DENIED});
  ASSERT_EQ(CheckEach(descriptor, client.get(), ACCESS_SYSTEM_SECURITY), TRUE);
  EXPECT_EQ(each_status_[0], DWORD{ERROR_PRIVILEGE_NOT_HELD});
}

// The privilege counts although the object as a whole is denied.
TEST_F(AccessTypesTest, APrivilegeThatIsUsedForOneTypeOnly) {
  const auto descriptor =
      DescriptorOf("O:BAG:BAD:(OA;;0x1;00000002-0000-0000-0000-000000000000;;S-1-5-21-1-2-3-1001)");
  const TestHandle client(MakeClient({.privileges = {.held = {Privilege::kTakeOwnership},
                                                     .enabled = {Privilege::kTakeOwnership}}}));
  ASSERT_EQ(CheckEach(descriptor, client.get(), 1 | WRITE_OWNER), TRUE);
  EXPECT_EQ(each_status_, (std::array<DWORD, 5>{5, 0, 0, 0, 5}));
  EXPECT_EQ(privileges_[0], 1U);
  EXPECT_EQ(privileges_[2], 9U);
  ASSERT_EQ(CheckTypes(descriptor, client.get(), 1 | WRITE_OWNER), TRUE);
  EXPECT_EQ(status_, FALSE);
  EXPECT_EQ(privileges_[0], 0U) << "of the object as a whole";
  ASSERT_EQ(CheckEach(descriptor, client.get(), 2 | WRITE_OWNER), TRUE);
  EXPECT_EQ(each_status_, (std::array<DWORD, 5>{5, 5, 5, 5, 5}));
  EXPECT_EQ(privileges_[0], 0U);
}

TEST_F(AccessTypesTest, TheObjectsOwnSid) {
  const auto descriptor = DescriptorOf("O:BAG:BAD:(A;;0x1;;;PS)");
  const TestHandle client(MakeClient());
  const security::Sid own = ClientSid(1001);
  const security::Sid other = ClientSid(1002);
  ASSERT_EQ(CheckTypes(descriptor, client.get(), 1, const_cast<security::Sid*>(&own)), TRUE);
  EXPECT_EQ(status_, TRUE);
  ASSERT_EQ(CheckTypes(descriptor, client.get(), 1, const_cast<security::Sid*>(&other)), TRUE);
  EXPECT_EQ(status_, FALSE);
  ASSERT_EQ(CheckTypes(descriptor, client.get(), 1), TRUE);
  EXPECT_EQ(status_, FALSE);
  std::array<std::byte, 8> endless = {std::byte{1}, std::byte{255}};
  ExpectError(CheckTypes(descriptor, client.get(), 1, endless.data()), ERROR_INVALID_SID);
}

TEST_F(AccessTypesTest, ListsThatAreNone) {
  const auto descriptor = DescriptorOf("O:BAG:BAD:(A;;0x1;;;WD)");
  const TestHandle client(MakeClient());
  granted_ = 77;
  const auto refused = [&] {
    ExpectError(CheckTypes(descriptor, client.get(), 1), ERROR_INVALID_PARAMETER);
    ExpectError(CheckEach(descriptor, client.get(), 1), ERROR_INVALID_PARAMETER);
  };
  types_[0].Level = 1;
  refused();
  types_[0].Level = 0;
  types_[1].Level = 2;
  refused();
  types_[1].Level = 0;
  refused();
  types_[1].Level = 5;
  refused();
  types_[1].Level = 1;
  types_[2].ObjectType = nullptr;
  refused();
  guids_[2] = guids_[1];
  types_[2].ObjectType = &guids_[2];
  refused();
  for (const DWORD count : {DWORD{1025}, DWORD{0xFFFFFFFF}}) {
    count_ = count;
    refused();
  }
  count_ = 0;
  ExpectError(CheckEach(descriptor, client.get(), 1), ERROR_INVALID_PARAMETER);
  EXPECT_EQ(granted_, 77U);
  EXPECT_EQ(each_granted_[0], 77U) << "when it fails nothing is stored";
  EXPECT_EQ(each_status_[0], 77U);
  // Without a list it is AccessCheck.
  const TestHandle world(MakeClient({.groups = {{security::kWorldSid}}}));
  ASSERT_EQ(AccessCheckByType(const_cast<std::byte*>(descriptor.data()), nullptr, world.get(), 1,
                              nullptr, 9, &mapping_, reinterpret_cast<PPRIVILEGE_SET>(&privileges_),
                              &length_, &granted_, &status_),
            TRUE);
  EXPECT_EQ(status_, TRUE);
  ExpectError(AccessCheckByTypeResultList(const_cast<std::byte*>(descriptor.data()), nullptr,
                                          world.get(), 1, nullptr, 2, &mapping_,
                                          reinterpret_cast<PPRIVILEGE_SET>(&privileges_), &length_,
                                          each_granted_.data(), each_status_.data()),
              ERROR_NOACCESS);
}

// Results that need not be aligned, behind one another and over the list itself.
TEST_F(AccessTypesTest, ResultsOverTheArguments) {
  const auto descriptor = DescriptorOf("O:BAG:BAD:(A;;0x1;;;S-1-5-21-1-2-3-1001)");
  const TestHandle client(MakeClient());
  length_ = sizeof(privileges_);
  auto* const over = reinterpret_cast<std::byte*>(types_.data()) + 1;
  ASSERT_EQ(AccessCheckByTypeResultList(
                const_cast<std::byte*>(descriptor.data()), nullptr, client.get(), 1, types_.data(),
                5, &mapping_, reinterpret_cast<PPRIVILEGE_SET>(&privileges_), &length_,
                reinterpret_cast<LPDWORD>(over), reinterpret_cast<LPDWORD>(over + 20)),
            TRUE);
  EXPECT_EQ(over[0], std::byte{1});
  EXPECT_EQ(over[16], std::byte{1});
  EXPECT_EQ(over[20], std::byte{0});
}

TEST_F(AccessFunctionsTest, RightsAreCompared) {
  EXPECT_EQ(AreAllAccessesGranted(7, 5), TRUE);
  EXPECT_EQ(AreAllAccessesGranted(4, 5), FALSE);
  EXPECT_EQ(AreAllAccessesGranted(0, 0), TRUE);
  EXPECT_EQ(AreAnyAccessesGranted(4, 5), TRUE);
  EXPECT_EQ(AreAnyAccessesGranted(2, 5), FALSE);
  EXPECT_EQ(AreAnyAccessesGranted(7, 0), FALSE);
}

}  // namespace
}  // namespace ktlsim::authorization
