#include "kernel_sim/audit/audit_head.h"

#include <gtest/gtest.h>

#include "tests/audit/audit_test_support.h"

namespace ktlsim::audit {
namespace {

class AuditHeadTest : public testing::Test {
 protected:
  AuditHead HeadOf(std::uint64_t sequence) {
    AuditHead head;
    head.sequence = sequence;
    head.file = 3;
    head.offset = 1000;
    head.log[0] = std::byte{9};
    EXPECT_TRUE(head.key.Derive(*engine_, test::SecretBytes(test::kSecretText), head.log));
    for (std::uint64_t i = 0; i < sequence; ++i) EXPECT_TRUE(head.key.Step(*engine_));
    return head;
  }

  const std::unique_ptr<MacEngine> engine_ = MacEngine::Create();
  const ktlsim::test::TemporaryFolder folder_;
  const std::string path_ = folder_.File("head");
};

TEST_F(AuditHeadTest, ReadsWhatWasSealed) {
  Result<std::unique_ptr<HeadFile>> file = HeadFile::Open(path_, FileCalls::System());
  ASSERT_TRUE(file.ok());
  EXPECT_TRUE((*file)->IsEmpty().value());
  ASSERT_TRUE((*file)->Seal(*engine_, HeadOf(5), true).ok());
  EXPECT_FALSE((*file)->IsEmpty().value());
  const Result<AuditHead> read = (*file)->Read(*engine_);
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->sequence, 5U);
  EXPECT_EQ(read->file, 3U);
  EXPECT_EQ(read->offset, 1000U);
  EXPECT_EQ(test::ContentOf(path_).size(), kHeadBytes);
}

// The machine stops while a copy is written: any mixture of old and new bytes in one of them.
TEST_F(AuditHeadTest, OneWholeCopyIsEnough) {
  HeadCopy older;
  HeadCopy newer;
  ASSERT_TRUE(EncodeHead(*engine_, HeadOf(5), &older));
  ASSERT_TRUE(EncodeHead(*engine_, HeadOf(6), &newer));
  const std::string old_text(older.data(), older.size());
  const std::string new_text(newer.data(), newer.size());
  for (std::size_t cut = 0; cut <= kHeadCopyBytes; cut += 64) {
    const std::string mixed = new_text.substr(0, cut) + old_text.substr(cut);
    for (const auto& [text, whole] :
         {std::pair(mixed + old_text, cut == kHeadCopyBytes), std::pair(new_text + mixed, true)}) {
      test::Overwrite(path_, text);
      const Result<std::unique_ptr<HeadFile>> file = HeadFile::Open(path_, FileCalls::System());
      ASSERT_TRUE(file.ok());
      const Result<AuditHead> read = file.value()->Read(*engine_);
      ASSERT_TRUE(read.ok());
      EXPECT_EQ(read.value().sequence, whole ? 6U : 5U) << cut;
    }
  }
}

TEST_F(AuditHeadTest, TwoDamagedCopiesAreNone) {
  HeadCopy copy;
  ASSERT_TRUE(EncodeHead(*engine_, HeadOf(5), &copy));
  copy[100] = static_cast<char>(copy[100] ^ 1);
  const std::string text(copy.data(), copy.size());
  test::Overwrite(path_, text + text);
  const Result<std::unique_ptr<HeadFile>> file = HeadFile::Open(path_, FileCalls::System());
  ASSERT_TRUE(file.ok());
  EXPECT_FALSE(file.value()->Read(*engine_).ok());
}

TEST_F(AuditHeadTest, IsSealedWithItsOwnKeyOnly) {
  HeadCopy copy;
  ASSERT_TRUE(EncodeHead(*engine_, HeadOf(5), &copy));
  EXPECT_TRUE(IsSealed(*engine_, copy, HeadOf(5).key));
  EXPECT_FALSE(IsSealed(*engine_, copy, HeadOf(4).key));
  EXPECT_FALSE(IsSealed(*engine_, copy, HeadOf(6).key));
}

TEST_F(AuditHeadTest, OneWriterAtATime) {
  const Result<std::unique_ptr<HeadFile>> file = HeadFile::Open(path_, FileCalls::System());
  ASSERT_TRUE(file.ok());
  const Result<std::unique_ptr<HeadFile>> second = HeadFile::Open(path_, FileCalls::System());
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.status().category(), Category::kContract);
}

// After the head was sealed, the key of the line before is nowhere in its file.
TEST_F(AuditHeadTest, TheOlderKeyIsGone) {
  const Result<std::unique_ptr<HeadFile>> file = HeadFile::Open(path_, FileCalls::System());
  ASSERT_TRUE(file.ok());
  const AuditHead older = HeadOf(5);
  const std::string key(reinterpret_cast<const char*>(older.key.bytes().data()), 32);
  ASSERT_TRUE(file.value()->Seal(*engine_, older, true).ok());
  EXPECT_NE(test::ContentOf(path_).find(key), std::string::npos);
  ASSERT_TRUE(file.value()->Seal(*engine_, HeadOf(6), true).ok());
  EXPECT_EQ(test::ContentOf(path_).find(key), std::string::npos);
}

}  // namespace
}  // namespace ktlsim::audit
