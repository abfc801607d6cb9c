// Memory maps of files, and their names for a handler of signals. No torch here.
#include <sys/mman.h>

#include <atomic>
#include <mutex>

#include "core/descriptor.h"
#include "core/file.h"
#include "core/plain_file.h"

namespace retort {
namespace {

/// A map that is there now, or was once: then `begin` is 0 and the note is used again.
struct MapNote {
  std::atomic<uintptr_t> begin{0};
  std::atomic<size_t> size{0};
  std::string path;
  MapNote* next = nullptr;
};

// What a handler of SIGBUS, which knows an address alone, can reach. Notes are never freed.
std::atomic<MapNote*> first_note{nullptr};
std::mutex notes_mutex;

void note_map(const void* data, size_t size, std::string path) {
  const std::lock_guard<std::mutex> lock(notes_mutex);
  MapNote* note = first_note;
  while (note && note->begin != 0) note = note->next;
  const bool fresh = !note;
  if (fresh) note = new MapNote;
  note->path = std::move(path);
  note->size = size;
  note->begin = reinterpret_cast<uintptr_t>(data);
  if (fresh) {
    note->next = first_note;
    first_note = note;
  }
}

void forget_map(const void* data) {
  const std::lock_guard<std::mutex> lock(notes_mutex);
  for (MapNote* note = first_note; note; note = note->next)
    if (note->begin == reinterpret_cast<uintptr_t>(data)) note->begin = 0;
}

}  // namespace

MappedFile::MappedFile(const std::filesystem::path& path) {
  uint64_t size = 0;
  const Descriptor file(open_plain(path, size));
  if (size == 0) return;
  void* map = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (map == MAP_FAILED) throw unreadable(path);
  data_ = static_cast<const std::byte*>(map);
  size_ = size;
  note_map(data_, size_, path.string());
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile::~MappedFile() {
  if (!data_) return;
  forget_map(data_);
  ::munmap(const_cast<std::byte*>(data_), size_);
}

const char* mapped_file_at(const void* address) {
  const auto at = reinterpret_cast<uintptr_t>(address);
  for (const MapNote* note = first_note; note; note = note->next) {
    const uintptr_t begin = note->begin;
    if (begin != 0 && at >= begin && at - begin < note->size) return note->path.c_str();
  }
  return nullptr;
}

}  // namespace retort
