#include "kernel_sim/serve/held_plaintext.h"

#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "tests/serve/fake_connection.h"

namespace ktlsim::serve {
namespace {

std::span<const std::byte> Bytes(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

std::string Text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Room for eight bytes, of which the first `free` are had.
class EightBytes {
 public:
  explicit EightBytes(std::size_t& free) : free_(free) {}
  bool empty() const { return text_.empty(); }
  std::size_t room() const { return 8 - text_.size(); }
  bool Keep(std::span<const std::byte> bytes) {
    if (bytes.size() > free_) return false;
    free_ -= bytes.size();
    text_ += Text(bytes);
    return true;
  }
  std::string& text() { return text_; }

 private:
  std::size_t& free_;
  std::string text_;
};

TEST(GrowingBytesTest, HandsOutWhatItGotInOrder) {
  GrowingBytes bytes;
  EXPECT_TRUE(bytes.empty());
  ASSERT_TRUE(bytes.Keep(Bytes("abcd")));
  bytes.Consume(1);
  EXPECT_EQ(Text(bytes.bytes()), "bcd");
  EXPECT_EQ(bytes.room(), GrowingBytes::kBytesMax - 3);
  ASSERT_TRUE(bytes.Keep(Bytes("ef")));
  EXPECT_EQ(Text(bytes.bytes()), "bcdef");
  EXPECT_EQ(bytes.room(), GrowingBytes::kBytesMax - 5);
  bytes.Consume(5);
  EXPECT_TRUE(bytes.empty());
  EXPECT_EQ(bytes.room(), GrowingBytes::kBytesMax);
  ASSERT_TRUE(bytes.Keep(Bytes("g")));
  EXPECT_EQ(Text(bytes.bytes()), "g");
}

TEST(HeldPlaintextTest, PausesWhenRoomGetsShortAndResumesOnce) {
  FakeConnection connection;
  std::size_t free = 100;
  HeldPlaintext<EightBytes> held(/*pause_below=*/4, free);
  EXPECT_TRUE(held.Keep(connection, Bytes("abcd")));
  EXPECT_FALSE(connection.paused);
  held.ResumeReading(connection);
  EXPECT_TRUE(held.Keep(connection, Bytes("e")));
  EXPECT_TRUE(connection.paused);
  EXPECT_TRUE(held.Keep(connection, Bytes("fgh")));
  held.bytes().text().clear();
  held.ResumeReading(connection);
  EXPECT_FALSE(connection.paused);
  connection.paused = true;  // by somebody else
  held.ResumeReading(connection);
  EXPECT_TRUE(connection.paused);
}

TEST(HeldPlaintextTest, AbortsATransportThatIgnoresThePause) {
  FakeConnection connection;
  std::size_t free = 100;
  HeldPlaintext<EightBytes> held(/*pause_below=*/8, free);
  EXPECT_TRUE(held.Keep(connection, Bytes("abcdefgh")));
  EXPECT_FALSE(connection.aborted);
  EXPECT_FALSE(held.Keep(connection, Bytes("i")));
  EXPECT_TRUE(connection.aborted);
  EXPECT_EQ(connection.abort_kind, transport::EndKind::kAborted);
  EXPECT_EQ(held.bytes().text(), "abcdefgh");
}

TEST(HeldPlaintextTest, AbortsForWantOfMemory) {
  FakeConnection connection;
  std::size_t free = 2;
  HeldPlaintext<EightBytes> held(/*pause_below=*/8, free);
  EXPECT_FALSE(held.Keep(connection, Bytes("abc")));
  EXPECT_EQ(connection.abort_kind, transport::EndKind::kNoMemory);
  EXPECT_FALSE(connection.paused);
}

}  // namespace
}  // namespace ktlsim::serve
