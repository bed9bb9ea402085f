#include "kernel_sim/security/security_descriptor.h"

#include <cstring>
#include <vector>

#include <gtest/gtest.h>

#include "tests/security/security_test_support.h"

namespace ktlsim::security {
namespace {

using test::DescriptorOf;
using test::TextOf;

constexpr std::string_view kFull = "O:BAG:SYD:P(A;;FA;;;BA)(D;;FW;;;WD)S:(ML;;NW;;;HI)";

// As it is where a caller has built one.
struct Absolute {
  explicit Absolute(const DescriptorView& view) {
    form.control = static_cast<std::uint16_t>(view.control & ~kSelfRelative);
    form.owner = view.owner->image().data();
    form.group = view.group->image().data();
    form.sacl = view.sacl->image().data();
    form.dacl = view.dacl->image().data();
  }
  std::span<const std::byte> bytes() const { return std::as_bytes(std::span(&form, 1)); }

  AbsoluteDescriptor form;
};

TEST(SecurityDescriptorTest, OrderAndOffsetsOfTheSelfRelativeForm) {
  const Descriptor descriptor = DescriptorOf(kFull);
  const auto form = Load<RelativeDescriptor>(descriptor.image().data());
  EXPECT_EQ(form.revision, 1);
  EXPECT_EQ(form.control, kSelfRelative | kDaclPresent | kDaclProtected | kSaclPresent);
  EXPECT_EQ(form.sacl, 20U);
  EXPECT_EQ(form.dacl, 20U + 28U);
  EXPECT_EQ(form.owner, 48U + 8U + 24U + 20U);
  EXPECT_EQ(form.group, 100U + 16U);
  EXPECT_EQ(descriptor.image().size(), 116U + 12U);
  EXPECT_EQ(SelfRelativeBytes(descriptor.view()), descriptor.image().size());
}

TEST(SecurityDescriptorTest, BothFormsAreReadAlike) {
  const Descriptor descriptor = DescriptorOf(kFull);
  const Absolute absolute(descriptor.view());
  DescriptorView view;
  ASSERT_EQ(ReadDescriptor(absolute.bytes(), &view), Fault::kNone);
  EXPECT_EQ(TextOf(view), kFull);
  std::vector<std::byte> memory(SelfRelativeBytes(view));
  ASSERT_EQ(WriteSelfRelative(view, memory), Fault::kNone);
  EXPECT_EQ(memory, test::CopyOf(descriptor.image()));
  memory.pop_back();
  const std::vector<std::byte> before = memory;
  EXPECT_EQ(WriteSelfRelative(view, memory), Fault::kInsufficientBuffer);
  EXPECT_EQ(memory, before);
}

TEST(SecurityDescriptorTest, PartsThatAreAbsent) {
  DescriptorView view;
  AbsoluteDescriptor none;
  ASSERT_EQ(ReadDescriptor(std::as_bytes(std::span(&none, 1)), &view), Fault::kNone);
  EXPECT_FALSE(view.owner || view.group || view.sacl || view.dacl);
  EXPECT_FALSE(view.dacl_present() || view.sacl_present());
  EXPECT_EQ(SelfRelativeBytes(view), 20U);

  const Descriptor null = DescriptorOf("D:NO_ACCESS_CONTROL");
  EXPECT_TRUE(null.view().dacl_present());
  EXPECT_FALSE(null.view().dacl);
  const Descriptor empty = DescriptorOf("D:");
  ASSERT_TRUE(empty.view().dacl);
  EXPECT_EQ(empty.view().dacl->count(), 0U);

  // A list that is not present is not looked at.
  const char* const garbage = "garbage";
  none.dacl = garbage;
  EXPECT_EQ(ReadDescriptor(std::as_bytes(std::span(&none, 1)), &view), Fault::kNone);
  EXPECT_FALSE(view.dacl);
}

TEST(SecurityDescriptorTest, WhichPartIsWrong) {
  const Descriptor descriptor = DescriptorOf(kFull);
  const auto fault_of = [&](std::size_t offset, std::uint8_t value) {
    std::vector<std::byte> bytes = test::CopyOf(descriptor.image());
    bytes[offset] = std::byte{value};
    DescriptorView view;
    return ReadDescriptor(bytes, &view);
  };
  EXPECT_EQ(fault_of(0, 2), Fault::kUnknownRevision);
  EXPECT_EQ(fault_of(4, 101), Fault::kInvalidSecurityDescriptor) << "not aligned";
  EXPECT_EQ(fault_of(4, 16), Fault::kInvalidSecurityDescriptor) << "in the header";
  EXPECT_EQ(fault_of(5, 1), Fault::kInvalidSecurityDescriptor) << "behind the end";
  EXPECT_EQ(fault_of(4, 124), Fault::kInvalidSid) << "no room";
  EXPECT_EQ(fault_of(100, 7), Fault::kInvalidSid);
  EXPECT_EQ(fault_of(48, 7), Fault::kInvalidAcl);
  EXPECT_EQ(fault_of(20, 7), Fault::kInvalidAcl);
}

// Cut at every length, and each byte given every value: read as a whole or refused, and nothing
// behind the end is looked at.
TEST(SecurityDescriptorTest, HostileBytesOfEveryLength) {
  const Descriptor descriptor = DescriptorOf(kFull);
  DescriptorView view;
  for (std::size_t size = 0; size < descriptor.image().size(); ++size) {
    const std::vector<std::byte> cut = test::CopyOf(descriptor.image().first(size));
    EXPECT_NE(ReadDescriptor(cut, &view), Fault::kNone) << size;
  }
  for (std::size_t i = 0; i < descriptor.image().size(); ++i) {
    for (int value = 0; value < 256; ++value) {
      std::vector<std::byte> bytes = test::CopyOf(descriptor.image());
      bytes[i] = static_cast<std::byte>(value);
      // Of the absolute form the parts are pointers, and those are believed.
      if (i == 3 && value < 0x80) continue;
      if (ReadDescriptor(bytes, &view) != Fault::kNone) continue;
      const std::optional<Descriptor> copy = Descriptor::Create(view);
      ASSERT_TRUE(copy);
      EXPECT_EQ(TextOf(copy->view()), TextOf(view)) << i << " " << value;
    }
  }
}

// Its own sizes are believed.
TEST(SecurityDescriptorTest, OfUnknownSize) {
  const Descriptor descriptor = DescriptorOf(kFull);
  DescriptorView view;
  ASSERT_EQ(ReadDescriptor({descriptor.image().data(), kUnknownBytes}, &view), Fault::kNone);
  EXPECT_EQ(TextOf(view), kFull);
}

// An offset that no descriptor needs is not followed.
TEST(SecurityDescriptorTest, OfUnknownSizeWithOffsetsThatLeadFar) {
  const Descriptor descriptor = DescriptorOf(kFull);
  for (const std::uint32_t offset : {0xFFFFFFFCU, 0x80000000U, 131232U}) {
    for (const std::size_t part : {4U, 8U, 12U, 16U}) {
      std::vector<std::byte> bytes = test::CopyOf(descriptor.image());
      std::memcpy(bytes.data() + part, &offset, sizeof(offset));
      DescriptorView view;
      EXPECT_EQ(ReadDescriptor({bytes.data(), kUnknownBytes}, &view),
                Fault::kInvalidSecurityDescriptor)
          << offset << " " << part;
    }
  }
}

TEST(SecurityDescriptorTest, AListOfOddSizeIsPadded) {
  std::vector<std::byte> memory(12);
  ASSERT_EQ(InitializeAcl(memory, 2), Fault::kNone);
  memory[2] = std::byte{9};
  AbsoluteDescriptor form;
  form.control = kDaclPresent;
  form.dacl = memory.data();
  form.owner = kWorldSid.view().image().data();
  DescriptorView view;
  ASSERT_EQ(ReadDescriptor(std::as_bytes(std::span(&form, 1)), &view), Fault::kNone);
  const std::optional<Descriptor> made = Descriptor::Create(view);
  ASSERT_TRUE(made);
  EXPECT_EQ(TextOf(made->view()), "O:WDD:");
}

}  // namespace
}  // namespace ktlsim::security
