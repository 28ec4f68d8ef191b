#!/bin/sh
# Builds summarize on Debian without installing anything: SentencePiece and ONNX Runtime's header
# come from Debian's packages, which are unpacked in FOLDER, and its library from the Python package.
#
#   sh build_here.sh PYTHON FOLDER        # writes FOLDER/summarize
set -eu
python=$1 here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$2/lists/partial" "$2/cache/archives/partial" "$2/packages"
folder=$(cd "$2" && pwd)

library=$("$python" -c 'import onnxruntime, pathlib
print(*pathlib.Path(onnxruntime.__file__).parent.glob("capi/libonnxruntime.so.*"))')
[ -n "$library" ] || { echo "build_here: the onnxruntime of $python has no library" >&2; exit 1; }

# The header is in Debian from version 13 on, and good for every later library: the C API only grows.
. /etc/os-release
site=$(apt-get indextargets --format '$(SITE)' "Codename: $VERSION_CODENAME" | head -n 1)
printf "deb $site %s main\n" "$VERSION_CODENAME" trixie | sort -u >"$folder/sources.list"
apt() {
    apt-get --quiet --quiet --option Dir::Etc::sourcelist="$folder/sources.list" \
        --option Dir::Etc::sourceparts=- --option Dir::State::lists="$folder/lists" \
        --option Dir::Cache="$folder/cache" --option Acquire::Languages=none \
        --option APT::Sandbox::User= "$@"
}
cd "$folder/packages"
apt update
apt download libonnxruntime-dev "libsentencepiece-dev/$VERSION_CODENAME" \
    "libsentencepiece0/$VERSION_CODENAME"
for package in *.deb; do
    dpkg-deb --extract "$package" .
    rm "$package"
done
ln -sf "$library" usr/lib/libonnxruntime.so
ln -sf "$library" usr/lib/libonnxruntime.so.1
rm -rf "$folder/lists" "$folder/cache"

cmake -S "$here" -B "$folder" -DCMAKE_PREFIX_PATH="$folder/packages/usr"
cmake --build "$folder"
