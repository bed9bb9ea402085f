// TypeTree: what has been granted and denied for each object type of a list.
//
// Private to security/. The list is in the order of a walk through the tree: below each come those
// of a higher level.
#pragma once

#include <cstddef>
#include <optional>
#include <span>

#include "kernel_sim/security/access_check.h"

namespace ktlsim::security {

class TypeTree {
 public:
  // kInvalidParameter: no tree, too many types, or one twice.
  static Fault Check(std::span<const ObjectType> types);

  TypeTree(std::span<const ObjectType> types, std::span<TypeResult> results)
      : types_(types), results_(results) {}

  // The index of the type. None: it is not in the list.
  std::optional<std::size_t> Find(const Guid& type) const;

  // For the type at `index` and all below it; then what holds for all below one holds for it.
  void Allow(std::size_t index, AccessMask mask);
  // For the type at `index`, all below it, and those above it, which are not granted as a whole.
  void Deny(std::size_t index, AccessMask mask);

  // Whether each of them is decided on all of `mask`: an ACE changes nothing then.
  bool Decided(AccessMask mask) const;

  void Clear();
  AccessMask granted(std::size_t index) const { return results_[index].counts.granted; }
  AccessMask denied(std::size_t index) const { return results_[index].counts.denied; }

 private:
  std::size_t EndOf(std::size_t index) const;
  std::optional<std::size_t> ParentOf(std::size_t index) const;
  AccessMask GrantedBelow(std::size_t index) const;

  std::span<const ObjectType> types_;
  std::span<TypeResult> results_;
};

}  // namespace ktlsim::security
