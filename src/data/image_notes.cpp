// Sentences about image files. No torch here.
#include "data/image_notes.h"

#include <algorithm>

namespace retort::data {
namespace {

std::string images(int64_t count, const std::string& one, const std::string& many) {
  return count == 1 ? "1 image " + one : std::to_string(count) + " images " + many;
}

}  // namespace

void ImageFindings::add(const ImageFacts& facts) {
  turned += facts.orientation != 1;
  cmyk += facts.cmyk;
  deep += facts.largest > 0;
  more_frames += facts.more_frames;
  largest = std::max(largest, facts.largest);
}

std::vector<std::string> ImageFindings::notes(bool upright) const {
  std::vector<std::string> texts;
  if (turned > 0 && upright)
    texts.push_back(images(turned, "is", "are") +
                    " turned as EXIF's orientation says (--exif ignore leaves the pixels as they "
                    "are stored)");
  if (turned > 0 && !upright)
    texts.push_back(images(turned, "has", "have") +
                    " an EXIF orientation that is ignored (--exif apply turns them upright)");
  if (cmyk > 0)
    texts.push_back(images(cmyk, "is", "are") +
                    " in CMYK: converted to RGB without a colour profile");
  if (deep > 0) {
    std::string text = images(deep, "has", "have") + " 16 bits a sample: the high byte is kept";
    if (largest < 0x8000)  // the upper half of the levels and more is empty
      text += ". Their largest value is " + std::to_string(largest) + " of 65535, so that " +
              std::to_string(largest / 256 + 1) +
              " of 256 levels are in use: stretch the values before reading them";
    texts.push_back(text);
  }
  if (more_frames > 0)
    texts.push_back(images(more_frames, "is an animation or has", "are animations or have") +
                    " several pages: the first is read");
  return texts;
}

}  // namespace retort::data
