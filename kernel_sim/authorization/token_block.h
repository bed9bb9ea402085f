// Block: what a token has, as one block of memory for a caller: structures, arrays, and the SIDs
// that they point to.
//
// Private to authorization/. May throw std::bad_alloc.
#pragma once

#include <ktlsim/security.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>
#include <vector>

#include "kernel_sim/security/sid.h"

namespace ktlsim::authorization {

// The block that is going to lie at `base`: fixed parts and arrays, in their order, and what they
// point to.
class Block {
 public:
  explicit Block(const void* base) : base_(reinterpret_cast<std::uintptr_t>(base)) {}

  std::span<const std::byte> bytes() const { return bytes_; }

  // Room for something, aligned for pointers. Returns where it is.
  std::size_t Reserve(std::size_t size) {
    bytes_.resize((bytes_.size() + 7) / 8 * 8);
    const std::size_t at = bytes_.size();
    bytes_.resize(at + size);
    return at;
  }
  template <typename T>
  void Store(std::size_t at, const T& value) {
    static_assert(std::is_trivially_copyable_v<T>);
    std::memcpy(bytes_.data() + at, static_cast<const void*>(&value), sizeof(value));
  }
  template <typename T>
  void Append(const T& value) {
    Store(Reserve(sizeof(value)), value);
  }
  // Where a copy of `image` is going to be.
  void* Place(std::span<const std::byte> image) {
    const std::size_t at = Reserve(image.size());
    std::memcpy(bytes_.data() + at, image.data(), image.size());
    return AddressOf(at);
  }
  void* AddressOf(std::size_t at) const { return reinterpret_cast<void*>(base_ + at); }

 private:
  const std::uintptr_t base_;
  std::vector<std::byte> bytes_;
};

struct NamedSid {
  security::SidView sid;
  std::uint32_t attributes;
};

// An array of SID_AND_ATTRIBUTES at `at`, and the SIDs. Returns where it is, and how long they are.
struct SidArray {
  void* address;
  DWORD count;
  DWORD bytes;
};
inline SidArray AddSids(Block& block, std::size_t at, std::span<const NamedSid> sids) {
  DWORD bytes = 0;
  for (std::size_t i = 0; i < sids.size(); ++i) {
    bytes += static_cast<DWORD>(sids[i].sid.bytes() + sizeof(SID_AND_ATTRIBUTES));
    block.Store(at + i * sizeof(SID_AND_ATTRIBUTES),
                SID_AND_ATTRIBUTES{block.Place(sids[i].sid.image()), sids[i].attributes});
  }
  return {block.AddressOf(at), static_cast<DWORD>(sids.size()), bytes};
}

// A TOKEN_GROUPS.
inline void AddGroups(Block& block, std::span<const NamedSid> sids) {
  constexpr std::size_t kArray = offsetof(TOKEN_GROUPS, Groups);
  const std::size_t at = block.Reserve(kArray + sids.size() * sizeof(SID_AND_ATTRIBUTES));
  block.Store(at, static_cast<DWORD>(sids.size()));
  AddSids(block, at + kArray, sids);
}

}  // namespace ktlsim::authorization
