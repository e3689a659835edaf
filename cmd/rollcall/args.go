package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/rollcallhq/rollcall/internal/config"
)

// unexpected returns the error for an argument that a command does not take. It does not repeat what may be a secret that was
// separated from its flag or variable.
func unexpected(cmd *cobra.Command, arg, advice string) error {
	secret := strings.ContainsAny(arg, "=@")
	cmd.Flags().Visit(func(f *pflag.Flag) { secret = secret || f.Name == "token" || config.IsSecret(f.Name) })
	switch near := cmd.SuggestionsFor(arg); {
	case secret:
		return errors.New("unexpected argument (not shown, since it may be a secret): write values as --flag=value")
	case len(near) > 0:
		advice = didYouMean(near)
	}
	return fmt.Errorf("unexpected argument %q: %s", clip(arg, 60), advice)
}

func didYouMean(names []string) string { return "did you mean " + strings.Join(names, " or ") + "?" }

// nearFlag adds the flag that was perhaps meant to the error for an unknown one.
func nearFlag(cmd *cobra.Command, err error) error {
	if unknown, ok := errors.AsType[*pflag.NotExistError](err); ok {
		if near := config.NearFlag(cmd.Flags(), unknown.GetSpecifiedName()); near != "" {
			return fmt.Errorf("%w: did you mean --%s?", err, near)
		}
	}
	return err
}

func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return unexpected(cmd, args[0], "it takes none; write values as --flag=value")
	}
	return nil
}

// noEmptyRoom accepts no arguments, and a --room that names a room. An empty one is a script's empty variable, which must not mean every room.
func noEmptyRoom(cmd *cobra.Command, args []string) error {
	if f := cmd.Flags().Lookup("room"); f.Changed && f.Value.String() == "" {
		return errors.New("--room is empty: name a room, or leave it out for every room")
	}
	return noArgs(cmd, args)
}

// exactName accepts the one argument that names a room; any text is a name, except an empty one.
func exactName(cmd *cobra.Command, args []string) error {
	return oneWord(cmd, args, "give one room name (in quotes if it holds spaces)")
}

func exactlyOne(cmd *cobra.Command, args []string, advice string) error {
	switch len(args) {
	case 0:
		return errors.New(advice)
	case 1:
		return nil
	}
	return unexpected(cmd, args[1], advice)
}

// oneWord accepts one argument that is not empty.
func oneWord(cmd *cobra.Command, args []string, advice string) error {
	if len(args) == 1 && args[0] == "" {
		return errors.New(advice)
	}
	return exactlyOne(cmd, args, advice)
}

// knownCommand accepts the path of a command.
func knownCommand(cmd *cobra.Command, args []string) error {
	found, rest, err := cmd.Root().Find(args)
	if err == nil && len(rest) > 0 {
		return unexpected(found, rest[0], found.CommandPath()+" has no such command")
	}
	return err
}

// anyRoom accepts the name of a room, or nothing. An empty name is a script's empty variable, which must not mean every room.
func anyRoom(cmd *cobra.Command, args []string) error {
	if len(args) == 1 && args[0] == "" {
		return errors.New("the room name is empty: name a room, or leave it out to sync every room")
	}
	if len(args) > 0 {
		return exactName(cmd, args)
	}
	return nil
}
