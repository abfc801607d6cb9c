// Hashes of content. No torch here.
#include "io/content_hash.h"

#include <fmt/format.h>

#include <bit>
#include <cstring>

namespace retort {
namespace {

constexpr std::string_view kUnsealed = "0000000000000000";

/// Where the content hash stands in a header; npos where it is not written as we write it.
size_t place_of_hash(std::string_view header) {
  const std::string key = fmt::format("\"{}\":\"", kContentHash);
  const size_t at = header.find(key);
  if (at == std::string_view::npos || at + key.size() + kUnsealed.size() > header.size())
    return std::string_view::npos;
  return at + key.size();
}

}  // namespace

// Every step is a bijection of the hash and of the word, so that none forgets a difference.
uint64_t hash_words(const void* data, size_t size, uint64_t seed) {
  const auto* at = static_cast<const unsigned char*>(data);
  uint64_t hash = 0xCBF29CE484222325 ^ (seed * 0x9E3779B97F4A7C15) ^ size, word = 0;
  const auto step = [&] { hash = (std::rotl(hash, 29) ^ word) * 0x100000001B3; };
  for (; size >= sizeof word; size -= sizeof word, at += sizeof word) {
    std::memcpy(&word, at, sizeof word);
    step();
  }
  word = 0;
  if (size > 0) std::memcpy(&word, at, size);
  step();
  hash = (hash ^ (hash >> 32)) * 0xD6E8FEB86659FD93;
  return hash ^ (hash >> 32);
}

std::string piece_hashes(const std::string& tensor) {
  return "hashes." + tensor;
}

std::string unsealed_header(std::string header) {
  const size_t at = place_of_hash(header);
  return at == std::string::npos ? header : header.replace(at, kUnsealed.size(), kUnsealed);
}

int64_t piece_hash(const void* data, size_t size) {
  return static_cast<int64_t>(hash_words(data, size));
}

namespace {

std::string content_hash(std::string_view header, const std::map<std::string, RawTensor>& tensors) {
  const std::string unsealed = unsealed_header(std::string(header));
  uint64_t hash = hash_words(unsealed.data(), unsealed.size());
  for (const auto& [name, tensor] : tensors)
    if (!tensors.contains(piece_hashes(name)))
      hash = hash_words(tensor.bytes.data(), tensor.bytes.size(), hash);
  return hex(hash);
}

}  // namespace

void require_content(std::string_view header, const SafetensorsView& view,
                     const std::string& path) {
  const auto written = view.metadata.find(std::string(kContentHash));
  if (written == view.metadata.end()) {
    const auto format = view.metadata.find("format");
    if (format == view.metadata.end() || !format->second.starts_with("retort")) return;
    throw damaged_content(path, "it has no content hash: it is damaged, or older than the hashes");
  }
  const std::string found = content_hash(header, view.tensors);
  if (found != written->second)
    throw damaged_content(
        path, fmt::format("its content hash is {}, {} was written", found, written->second));
}

std::string sealed_header(std::string header, const std::map<std::string, RawTensor>& tensors) {
  const std::string hash = content_hash(header, tensors);
  return header.replace(place_of_hash(header), hash.size(), hash);
}

DataError damaged_content(const std::string& path, const std::string& found) {
  return DataError(ErrorMessage{"reading '" + path + "'",
                                "the file is damaged: " + found,
                                {},
                                "take another copy of it, or make it again"});
}

}  // namespace retort
