// Secret: a few key bytes that are wiped when they go away.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace ktlsim::tls {

// Overwrites `bytes` in a way the compiler keeps.
void Wipe(std::span<std::byte> bytes);
void Wipe(std::span<std::uint8_t> bytes);

// At most 48 bytes (a SHA-384 secret). Moving wipes the source.
class Secret {
 public:
  static constexpr std::size_t kBytesMax = 48;

  Secret() = default;
  // Longer input is a bug of the caller.
  explicit Secret(std::span<const std::uint8_t> bytes);
  ~Secret() { Clear(); }
  Secret(const Secret& other) = default;
  Secret& operator=(const Secret& other) = default;
  Secret(Secret&& other) noexcept;
  Secret& operator=(Secret&& other) noexcept;

  // `size` zero bytes, to be written through span().
  void Resize(std::size_t size);
  void Clear();

  bool empty() const { return size_ == 0; }
  std::size_t size() const { return size_; }
  std::span<const std::uint8_t> span() const { return {bytes_.data(), size_}; }
  std::span<std::uint8_t> span() { return {bytes_.data(), size_}; }

 private:
  std::array<std::uint8_t, kBytesMax> bytes_{};
  std::uint8_t size_ = 0;
};

}  // namespace ktlsim::tls
