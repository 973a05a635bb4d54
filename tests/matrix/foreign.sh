# shellcheck shell=bash
# Sourced by matrix.sh: Debian's packages of another architecture and Debian's sources, fetched by a
# private copy of apt's state into build-matrix; the system's packages stay as they are.
foreign=$PWD/build-matrix

# apt-get on a state of its own, which also believes that nothing is installed.
private_apt() # FOLDER ARCHITECTURE ARGUMENT...
{
    local folder=$1 architecture=$2
    mkdir -p "$folder"/{state/lists/partial,cache/archives/partial,parts}
    apt-get -qq -y -o Dir::State="$folder/state" -o Dir::State::status=/dev/null \
        -o Dir::Cache="$folder/cache" -o APT::Architecture="$architecture" \
        -o APT::Architectures::="$architecture" -o APT::Sandbox::User=root \
        -o APT::Install-Recommends=false "${@:3}"
}

# Unpacks packages of an architecture, with what they depend on, into FOLDER/tree.
fetch_packages() # FOLDER ARCHITECTURE PACKAGE...
{
    local folder=$1 architecture=$2 package
    [ -f "$folder/complete" ] && return
    private_apt "$folder" "$architecture" update &&
        private_apt "$folder" "$architecture" --download-only install "${@:3}" || return 1
    mkdir -p "$folder/tree"
    for package in "$folder"/cache/archives/*.deb; do
        dpkg -x "$package" "$folder/tree" && rm "$package" || return 1
    done
    touch "$folder/complete"
}

# Unpacks the upstream source of a Debian package into FOLDER/PACKAGE.
fetch_source() # FOLDER PACKAGE
{
    local folder=$1 package=$2 list
    [ -f "$folder/$package/complete" ] && return
    mkdir -p "$folder/sources" "$folder/$package"
    for list in /etc/apt/sources.list /etc/apt/sources.list.d/*; do
        [ -f "$list" ] || continue
        sed -E 's/^deb /deb-src /; s/^Types:.*/Types: deb-src/' "$list" \
            >"$folder/sources/${list##*/}"
    done
    local own=(-o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$folder/sources")
    local architecture
    architecture=$(dpkg --print-architecture)
    private_apt "$folder" "$architecture" "${own[@]}" update &&
        (cd "$folder" && private_apt "$folder" "$architecture" "${own[@]}" --download-only source \
            "$package") &&
        tar -xf "$folder/${package}"_*.orig.tar.* -C "$folder/$package" --strip-components=1 &&
        touch "$folder/$package/complete"
}
