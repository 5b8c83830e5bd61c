// What a rotation of a CA is made of: told from the files alone, on the node where it was begun and
// on the others.
#pragma once

#include "cli/pki.h"

// How a CA's file that arrives stands to the one that is here. Both are bundles of the CAs that are
// trusted while one takes over from another, with the one among them that signs.
enum rotation_order {
    ROTATION_SAME,
    ROTATION_NEXT,    // a step further
    ROTATION_BEHIND,  // a step back
    ROTATION_SKIPS,   // further, but what is here has not been signed anew yet
    ROTATION_ANOTHER, // of another CA
};
enum rotation_order rotation_compare(const struct certificate_bundle *here, X509 *here_signer,
                                     const struct certificate_bundle *there, X509 *there_signer);

// True where `a` was made later than `b`: the one that takes over is.
bool rotation_is_younger(X509 *a, X509 *b);

// "…/ca-signer.crt" for "…/ca.crt". The caller frees.
char *rotation_signer_path(const char *ca_path);

// What a node that only follows a CA's rotation has to do: the steps of one that was begun
// elsewhere come by import, which writes it down beside the CA ("…/ca.led"); nothing begins there.
enum rotation_led {
    ROTATION_OWN,  // nothing is written down
    ROTATION_TODO, // a step has come, and the rest of it is to be done
    ROTATION_DONE, // it was done
};
char *rotation_led_path(const char *ca_path); // the caller frees
enum rotation_led rotation_led(const char *ca_path);
// ROTATION_OWN takes the note away. Synced. 0, or a negative errno.
int rotation_led_set(const char *ca_path, enum rotation_led led, struct error *err);

// kube-controller-manager takes a signing certificate's file with one certificate in it only. Where
// a manifest's flag names the CA's file there, the one that signs is put into CA-signer.crt, and
// the manifest, changed, validated and replaced in one step, names that; it is told on stdout.
// -EBUSY with what to do where the manifest cannot be changed so.
int pki_signer_prepare(const struct pki_options *options, const char *ca_path, X509 *signer,
                       struct error *err);

// A line for each CA of this node whose rotation is under way: where it stands. For `pki check`.
void pki_rotation_say_all(const struct pki_options *options);
