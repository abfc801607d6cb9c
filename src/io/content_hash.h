// The hashes in our safetensors files, by which damage is noticed; docs/formats.md. No torch here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "io/safetensors.h"
#include "retort/core/error.h"

namespace retort {

/// FNV-1a by words of eight bytes with a rotation and a final mix. A change within one word always
/// changes the result. Not cryptographic.
uint64_t hash_words(const void* data, size_t size, uint64_t seed = 0);

/// The metadata key of a hash of the header (its own digits as zeros) and of the data of all
/// tensors in name order. A tensor that has another of the name `piece_hashes` beside it is left
/// out: it is read in pieces, each with its hash there.
constexpr std::string_view kContentHash = "content_hash";
std::string piece_hashes(const std::string& tensor);  ///< "hashes.NAME", int64
int64_t piece_hash(const void* data, size_t size);    ///< hash_words as it stands in the file

/// A header with zeros in the place of its content hash.
std::string unsealed_header(std::string header);
/// A header with the hash of these tensors, whose bytes must be there but for those with hashes of
/// pieces.
std::string sealed_header(std::string header, const std::map<std::string, RawTensor>& tensors);
/// DataError unless the hash in the metadata is that of header and tensors. Files of others, whose
/// metadata name no format of ours, need none.
void require_content(std::string_view header, const SafetensorsView& view, const std::string& path);

/// "... the file is damaged: FOUND".
DataError damaged_content(const std::string& path, const std::string& found);

}  // namespace retort
