// A safetensors file that was edited, with the content hash of what it holds now: for checks that
// lie behind that of the hash.
#pragma once

#include <cstring>
#include <nlohmann/json.hpp>
#include <string>

#include "io/content_hash.h"

namespace retort::tests {

inline std::string resealed(const std::string& bytes) {
  uint64_t length = 0;
  std::memcpy(&length, bytes.data(), sizeof length);
  const std::string header = bytes.substr(0, 8 + length);
  const auto data = std::as_bytes(std::span(bytes)).subspan(header.size());
  std::map<std::string, RawTensor> tensors;
  const auto json = nlohmann::json::parse(header.substr(8));
  for (const auto& [name, entry] : json.items())
    if (name != "__metadata__") {
      const uint64_t begin = entry["data_offsets"][0], end = entry["data_offsets"][1];
      tensors[name].bytes = data.subspan(begin, end - begin);
    }
  return sealed_header(header, tensors) + bytes.substr(header.size());
}

}  // namespace retort::tests
