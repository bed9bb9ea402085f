#include "kernel_sim/security/acl.h"

#include <cstring>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/security/security_test_support.h"

namespace ktlsim::security {
namespace {

using test::SidOf;

// A list in memory of exactly its size.
class TestAcl {
 public:
  explicit TestAcl(std::size_t bytes, std::uint32_t revision = kAclRevisionDs) : bytes_(bytes) {
    EXPECT_EQ(InitializeAcl(bytes_, revision), Fault::kNone);
  }

  std::byte* data() { return bytes_.data(); }
  AclView view() const { return AclView::Read(bytes_).value(); }
  const std::vector<std::byte>& bytes() const { return bytes_; }

  // The masks of its ACEs.
  std::vector<AccessMask> Masks() const {
    std::vector<AccessMask> masks;
    for (const AceView ace : view()) masks.push_back(ace.mask());
    return masks;
  }

 private:
  std::vector<std::byte> bytes_;
};

NewAce AllowWorld(AccessMask mask) {
  return {.type = AceType::kAllowed, .mask = mask, .sid = kWorldSid};
}

Guid SomeGuid(std::uint32_t data1) { return {.data1 = data1}; }

TEST(AclTest, InitializeChecksSizeAndRevision) {
  std::vector<std::byte> memory(65536);
  const auto initialize = [&](std::size_t bytes, std::uint32_t revision) {
    return InitializeAcl(std::span(memory).first(bytes), revision);
  };
  for (std::size_t bytes = 0; bytes < 8; ++bytes) {
    EXPECT_EQ(initialize(bytes, 2), Fault::kInsufficientBuffer) << bytes;
  }
  EXPECT_EQ(initialize(8, 2), Fault::kNone);
  EXPECT_EQ(initialize(11, 3), Fault::kNone);
  EXPECT_EQ(AclView::Read(memory)->bytes(), 8U) << "rounded down";
  EXPECT_EQ(initialize(65535, 4), Fault::kNone);
  EXPECT_EQ(AclView::Read(memory)->bytes(), 65532U);
  EXPECT_EQ(initialize(65536, 4), Fault::kInvalidParameter);
  EXPECT_EQ(initialize(8, 1), Fault::kInvalidParameter);
  EXPECT_EQ(initialize(8, 5), Fault::kInvalidParameter);
}

TEST(AclTest, AppendsInOrder) {
  TestAcl acl(8 + 3 * 20);
  for (const AccessMask mask : {3U, 1U, 2U}) {
    EXPECT_EQ(AppendAce(acl.data(), 2, AllowWorld(mask)), Fault::kNone);
  }
  EXPECT_EQ(acl.Masks(), (std::vector<AccessMask>{3, 1, 2})) << "never sorted";
  EXPECT_EQ(AppendAce(acl.data(), 2, AllowWorld(4)), Fault::kAllottedSpaceExceeded);
  EXPECT_EQ(acl.view().bytes_in_use(), acl.view().bytes());
}

TEST(AclTest, AppendRefuses) {
  TestAcl acl(100, 2);
  NewAce ace = AllowWorld(1);
  EXPECT_EQ(AppendAce(acl.data(), 1, ace), Fault::kRevisionMismatch);
  EXPECT_EQ(AppendAce(acl.data(), 5, ace), Fault::kRevisionMismatch);
  ace.flags = kFailedAccess;
  EXPECT_EQ(AppendAce(acl.data(), 2, ace), Fault::kInvalidFlags);
  ace.type = AceType::kAudit;
  EXPECT_EQ(AppendAce(acl.data(), 2, ace), Fault::kNone);
  ace.flags = 0x20;
  EXPECT_EQ(AppendAce(acl.data(), 2, ace), Fault::kInvalidFlags);
  acl.data()[0] = std::byte{9};
  EXPECT_EQ(AppendAce(acl.data(), 2, AllowWorld(1)), Fault::kInvalidAcl);
  EXPECT_EQ(InsertAces(acl.data(), 2, 0, {}), Fault::kInvalidAcl);
  EXPECT_EQ(DeleteAce(acl.data(), 0), Fault::kInvalidAcl);
}

// A GUID that the flags do not announce is not there.
TEST(AclTest, ObjectAcesOfEveryShape) {
  const Guid object = SomeGuid(1);
  const Guid inherited = SomeGuid(2);
  struct Shape {
    const Guid* object;
    const Guid* inherited;
    std::size_t bytes;
  };
  for (const Shape& shape : {Shape{&object, nullptr, 40}, Shape{nullptr, &inherited, 40},
                             Shape{&object, &inherited, 56}}) {
    TestAcl acl(8 + shape.bytes, 2);
    const NewAce ace{.type = AceType::kDeniedObject,
                     .flags = kContainerInherit,
                     .mask = 0x100,
                     .sid = kWorldSid,
                     .object_type = shape.object,
                     .inherited_object_type = shape.inherited};
    EXPECT_EQ(AppendAce(acl.data(), 2, ace), Fault::kRevisionMismatch);
    ASSERT_EQ(AppendAce(acl.data(), 4, ace), Fault::kNone);
    EXPECT_EQ(acl.view().revision(), 4) << "the larger one";
    const AceView read = *acl.view().begin();
    EXPECT_EQ(read.type(), AceType::kDeniedObject);
    EXPECT_EQ(read.flags(), kContainerInherit);
    EXPECT_EQ(read.mask(), 0x100U);
    EXPECT_EQ(read.bytes(), shape.bytes);
    EXPECT_EQ(read.object_type().has_value(), shape.object != nullptr);
    EXPECT_EQ(read.inherited_object_type().has_value(), shape.inherited != nullptr);
    if (shape.object != nullptr) {
      EXPECT_EQ(read.object_type(), object);
    }
    if (shape.inherited != nullptr) {
      EXPECT_EQ(read.inherited_object_type(), inherited);
    }
    EXPECT_TRUE(read.sid() == kWorldSid.view());
    EXPECT_EQ(read.bytes_after_sid(), 0U);
  }
  TestAcl plain(8 + 20, 2);
  EXPECT_EQ(AppendAce(plain.data(), 2, {.type = AceType::kAllowedObject, .sid = kWorldSid}),
            Fault::kNone);
  EXPECT_EQ((*plain.view().begin()).type(), AceType::kAllowed) << "without GUIDs a plain one";
}

TEST(AclTest, InsertsAndDeletesAnywhere) {
  TestAcl other(8 + 2 * 20);
  ASSERT_EQ(AppendAce(other.data(), 2, AllowWorld(10)), Fault::kNone);
  ASSERT_EQ(AppendAce(other.data(), 2, AllowWorld(11)), Fault::kNone);
  const auto two = std::span<const std::byte>(other.bytes()).subspan(8);
  TestAcl acl(8 + 4 * 20, 2);
  ASSERT_EQ(AppendAce(acl.data(), 2, AllowWorld(1)), Fault::kNone);
  ASSERT_EQ(AppendAce(acl.data(), 2, AllowWorld(2)), Fault::kNone);
  EXPECT_EQ(InsertAces(acl.data(), 2, 3, two), Fault::kInvalidParameter) << "beyond the end";
  EXPECT_EQ(InsertAces(acl.data(), 2, 0, two.first(39)), Fault::kInvalidParameter);
  EXPECT_EQ(InsertAces(acl.data(), 2, 0, {}), Fault::kInvalidParameter);
  EXPECT_EQ(InsertAces(acl.data(), 7, 0, two), Fault::kRevisionMismatch);
  ASSERT_EQ(InsertAces(acl.data(), 4, 1, two), Fault::kNone);
  EXPECT_EQ(acl.Masks(), (std::vector<AccessMask>{1, 10, 11, 2}));
  EXPECT_EQ(acl.view().revision(), 4);
  EXPECT_EQ(InsertAces(acl.data(), 4, kAtEnd, two), Fault::kAllottedSpaceExceeded);
  EXPECT_EQ(DeleteAce(acl.data(), 4), Fault::kInvalidParameter);
  ASSERT_EQ(DeleteAce(acl.data(), 0), Fault::kNone);
  ASSERT_EQ(DeleteAce(acl.data(), 2), Fault::kNone);
  EXPECT_EQ(acl.Masks(), (std::vector<AccessMask>{10, 11}));
  ASSERT_EQ(InsertAces(acl.data(), 4, kAtEnd, two.first(20)), Fault::kNone);
  EXPECT_EQ(acl.Masks(), (std::vector<AccessMask>{10, 11, 10}));
}

TEST(AclTest, InsertedObjectAcesNeedTheirRevision) {
  const Guid guid = SomeGuid(7);
  TestAcl other(8 + 20 + 40);
  ASSERT_EQ(AppendAce(other.data(), 4, AllowWorld(1)), Fault::kNone);
  ASSERT_EQ(AppendAce(other.data(), 4,
                      {.type = AceType::kAllowedObject, .sid = kWorldSid, .object_type = &guid}),
            Fault::kNone);
  const AclView view = other.view();
  const auto aces = view.image().subspan(8, view.bytes_in_use() - 8);
  TestAcl acl(8 + 200, 2);
  EXPECT_EQ(InsertAces(acl.data(), 2, kAtEnd, aces), Fault::kRevisionMismatch);
  EXPECT_EQ(InsertAces(acl.data(), 3, 0, aces), Fault::kRevisionMismatch);
  EXPECT_EQ(acl.view().count(), 0U);
  EXPECT_EQ(InsertAces(acl.data(), 4, 0, aces), Fault::kNone);
  EXPECT_EQ(InsertAces(acl.data(), 2, 0, aces), Fault::kNone) << "the list has it already";
  EXPECT_EQ(acl.view().count(), 4U);
}

// One of each layout, with the list cut at every length and each of its bytes given every value.
TEST(AclTest, HostileBytesOfEveryLength) {
  const Guid guid = SomeGuid(7);
  TestAcl acl(8 + 20 + 56 + 24);
  ASSERT_EQ(AppendAce(acl.data(), 4, AllowWorld(1)), Fault::kNone);
  ASSERT_EQ(AppendAce(acl.data(), 4,
                      {.type = AceType::kAuditObject,
                       .sid = kWorldSid,
                       .object_type = &guid,
                       .inherited_object_type = &guid}),
            Fault::kNone);
  ASSERT_EQ(AppendAce(acl.data(), 4, {.type = AceType::kMandatoryLabel, .sid = kAdministratorsSid}),
            Fault::kNone);
  for (std::size_t size = 0; size <= acl.bytes().size(); ++size) {
    const std::vector<std::byte> cut(acl.bytes().begin(),
                                     acl.bytes().begin() + static_cast<long>(size));
    EXPECT_EQ(AclView::Read(cut).has_value(), size == acl.bytes().size()) << size;
  }
  std::size_t taken = 0;
  for (std::size_t i = 0; i < acl.bytes().size(); ++i) {
    for (int value = 0; value < 256; ++value) {
      std::vector<std::byte> bytes = acl.bytes();
      bytes[i] = static_cast<std::byte>(value);
      const auto read = AclView::Read(bytes);
      if (!read) continue;
      ++taken;
      for (const AceView ace : *read) {
        if (ace.layout() == AceLayout::kOther) continue;
        EXPECT_LE(ace.sid().bytes() + ace.bytes_after_sid(), ace.bytes());
        if (ace.layout() == AceLayout::kObject) {
          EXPECT_LE(ace.object_type() == guid, true);
        }
      }
    }
  }
  EXPECT_GT(taken, 1000U);
}

TEST(AclTest, SizesThatAreNoMultipleOfFourAreRefused) {
  TestAcl acl(8 + 24);
  ASSERT_EQ(AppendAce(acl.data(), 2, AllowWorld(1)), Fault::kNone);
  for (int size = 0; size <= 24; ++size) {
    acl.data()[8 + 2] = static_cast<std::byte>(size);
    EXPECT_EQ(AclView::Read(acl.bytes()).has_value(), size == 20 || size == 24) << size;
  }
}

// Of a type that nobody knows the header is all there is.
TEST(AclTest, UnknownTypesArePassedOver) {
  TestAcl acl(8 + 20 + 4);
  ASSERT_EQ(AppendAce(acl.data(), 2, AllowWorld(1)), Fault::kNone);
  std::memcpy(acl.data() + 28, "\xEE\0\4\0", 4);
  acl.data()[4] = std::byte{2};
  ASSERT_TRUE(AclView::Read(acl.bytes()));
  EXPECT_EQ((*++acl.view().begin()).layout(), AceLayout::kOther);
  acl.data()[28] = std::byte{0};
  EXPECT_FALSE(AclView::Read(acl.bytes())) << "an allow ACE has a SID";
}

TEST(AccessMaskTest, GenericRightsAreMapped) {
  constexpr GenericMapping kSmall = {0x1, 0x2, 0x4, 0xF};
  EXPECT_EQ(MapGeneric(kGenericRead | 0x100, kSmall), 0x101U);
  EXPECT_EQ(MapGeneric(kGenericWrite | kGenericExecute, kSmall), 0x6U);
  EXPECT_EQ(MapGeneric(kGenericAll | kMaximumAllowed, kSmall), kMaximumAllowed | 0xFU);
  EXPECT_EQ(MapGeneric(0x1234, kSmall), 0x1234U);
  EXPECT_EQ(MapGeneric(kGenericRead, {}), 0U);
}

}  // namespace
}  // namespace ktlsim::security
